import { PassThrough, Readable } from 'node:stream';
import { expect } from 'chai';
import { eachChunk } from '../../../server-a/intake/each-chunk.ts';

describe('each chunk', () => {
  it('takes all chunks in order, and waits for each promise', async () => {
    const events: string[] = [];
    await eachChunk(Readable.from(['a', 'b', 'c'].map((text) => Buffer.from(text))), (chunk) => {
      events.push(`${chunk}`);
      if (`${chunk}` === 'c') return undefined;
      return new Promise<void>((resolve) => setImmediate(resolve)).then(() => void events.push(`after ${chunk}`));
    });
    expect(events).to.deep.equal(['a', 'after a', 'b', 'after b', 'c']);
  });

  it('rejects with the error of the taker, and leaves the stream paused with the rest', async () => {
    for (const refuse of [
      () => {
        throw new Error('refused');
      },
      () => Promise.reject(new Error('refused')),
    ]) {
      const source = new PassThrough();
      source.write('a');
      expect(await messageOf(eachChunk(source, refuse))).to.equal('refused');
      expect([source.isPaused(), source.destroyed]).to.deep.equal([true, false]);
      source.end('b');
      expect(await source.toArray()).to.deep.equal([Buffer.from('b')]);
    }
  });

  it('rejects with the error of the stream, but not before the promise of the taker', async () => {
    const source = new PassThrough();
    const events: string[] = [];
    const reading = eachChunk(source, async () => {
      source.destroy(new Error('cut'));
      await new Promise<void>((resolve) => setImmediate(() => setImmediate(resolve)));
      events.push('taken');
    });
    source.write('a');
    events.push(await messageOf(reading));
    expect(events).to.deep.equal(['taken', 'cut']);
  });

  it('rejects when the stream ends too early or was destroyed before', async () => {
    const source = new PassThrough();
    const reading = eachChunk(source, () => undefined);
    source.destroy();
    expect(await messageOf(reading)).to.match(/Premature close/);
    expect(await messageOf(eachChunk(source, () => undefined))).to.match(/Premature close/);
  });
});

async function messageOf(promise: Promise<void>): Promise<string> {
  return promise.then(
    () => 'resolved',
    (error: Error) => error.message,
  );
}
