import { expect } from 'chai';
import { openEnvelope } from '../../../../server-a/protocols/zeromq/envelope.ts';

describe('envelope', () => {
  function open(...frames: string[]): [string, string[], string[]] | null {
    const opened = openEnvelope(frames.map((frame) => Buffer.from(frame)));
    return opened && [opened.client, opened.envelope.map(String), opened.body.map(String)];
  }

  it('ends with the first empty frame after the routing id', () => {
    expect(open('id', '', 'body')).to.deep.equal(['6964,', ['id', ''], ['body']]);
    expect(open('id', 'hop', '', 'body', '', 'more')).to.deep.equal([
      '6964,686f70,',
      ['id', 'hop', ''],
      ['body', '', 'more'],
    ]);
    expect(open('id', '', '')).to.deep.equal(['6964,', ['id', ''], ['']]);
  });

  it('is null without an empty frame, without a frame after it, or with too many hops', () => {
    expect(open('id')).to.equal(null);
    expect(open('id', 'body')).to.equal(null);
    expect(open('id', '')).to.equal(null);
    expect(open('', 'body')).to.equal(null);
    expect(open('id', ...'123456789', '', 'body')).to.equal(null);
  });
});
