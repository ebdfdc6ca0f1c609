import { expect } from 'chai';
import { DarkroomError } from '../../../shared/errors.ts';
import { MESSAGE_SCHEMAS, parseMessage } from '../../../shared/wire/messages.ts';

function parseHello(payload: string | Buffer) {
  return parseMessage('HELLO', MESSAGE_SCHEMAS.HELLO, Buffer.from(payload));
}

/** The error of a payload that must be refused. */
function refusal(payload: string | Buffer): Error {
  try {
    parseHello(payload);
  } catch (error) {
    if (error instanceof DarkroomError && error.code === 'BAD_REQUEST') return error;
    throw error;
  }
  throw new Error(`Expected BAD_REQUEST for ${payload}, received a message`);
}

describe('messages', () => {
  it('ignores unknown members', () => {
    expect(parseHello('{"protocol":1,"token":"t","colour":"red"}')).to.deep.equal({ protocol: 1, token: 't' });
  });

  it('reads a JOB without "alone" as one that may run with others', () => {
    const job = {
      id: 'V1StGXR8_Z5jdHi6B-myT',
      attempt: 1,
      outputs: [{ name: 'classify', operation: 'classify', top_k: 5 }],
      bytes: 3,
      image: {
        format: 'png',
        width: 1,
        height: 1,
        frames: 1,
        channels: 4,
        depth: 8,
        alpha: true,
        progressive: false,
        orientation: 1,
      },
      deadline_ms: 1000,
    };
    const parsed = parseMessage('JOB', MESSAGE_SCHEMAS.JOB, Buffer.from(JSON.stringify(job)));
    expect(parsed).to.deep.equal({ ...job, alone: false });
  });

  it('reads a WELCOME with and without the memory of Server B', () => {
    const parse = (welcome: object) =>
      parseMessage('WELCOME', MESSAGE_SCHEMAS.WELCOME, Buffer.from(JSON.stringify(welcome)));
    const older = { protocol: 2, instance: 'k3Jd', slots: 4, operations: ['resize'], formats: ['jpeg'], model: null };
    expect(parse(older)).to.deep.equal(older);
    expect(parse({ ...older, memory_bytes: 536_870_912 }).memory_bytes).to.equal(536_870_912);
    for (const memory_bytes of [0, -1, 1.5, '512', null]) {
      expect(() => parse({ ...older, memory_bytes })).to.throw(DarkroomError, 'memory_bytes');
    }
  });

  for (const [what, payload] of [
    ['text that is not JSON', 'hello'],
    ['half an object', '{"protocol":1'],
    ['an array', '[]'],
    ['null', 'null'],
    ['a byte-order mark', '\uFEFF{"protocol":1,"token":"t"}'],
    ['a missing member', '{"protocol":1}'],
    ['a member of another type', '{"protocol":"1","token":"t"}'],
    ['bytes that are not UTF-8', Buffer.from('{"protocol":1,"token":"\u00ff"}', 'latin1')],
  ] as const) {
    it(`refuses ${what}`, () => {
      expect(refusal(payload).message).to.match(/^Expected .+ for .*HELLO, received /);
    });
  }

  it('names the invalid member and the reason', () => {
    expect(refusal('{"protocol":1,"token":7}').message).to.match(/expected string, received number.*'token'/);
  });

  it('never quotes the payload, which may contain the token', () => {
    for (const payload of ['{"protocol":"1","token":"hunter2"}', '{"protocol":1,"token":hunter2}', 'hunter2']) {
      expect(refusal(payload).message).to.not.contain('hunter');
    }
  });
});
