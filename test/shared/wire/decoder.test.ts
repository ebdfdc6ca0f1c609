import { expect } from 'chai';
import fc from 'fast-check';
import { DarkroomError, invalid } from '../../../shared/errors.ts';
import {
  decodeHeader,
  encodeHeader,
  type FrameKind,
  HEADER_BYTES,
  MAX_CONTROL_BYTES,
  MAX_DATA_BYTES,
} from '../../../shared/wire/frame.ts';
import { type Frame, RecordedDecoder } from '../../support/recorded-frames.ts';

/** A reference decoder for one buffer with all bytes: the expected frames, and the error that ends them. */
function decodeWhole(bytes: Buffer): { frames: Frame[]; refusal: string | null } {
  const frames: Frame[] = [];
  let offset = 0;
  while (bytes.length - offset >= HEADER_BYTES) {
    try {
      const { kind, length } = decodeHeader(bytes.subarray(offset, offset + HEADER_BYTES));
      const start = offset + HEADER_BYTES;
      if (bytes.length < start + length) break;
      frames.push({ kind, payload: bytes.subarray(start, start + length) });
      offset = start + length;
    } catch (error) {
      return { frames, refusal: error instanceof Error ? error.message : String(error) };
    }
  }
  return { frames, refusal: null };
}

/** Pushes the bytes in pieces of the given sizes, in turn, until the first error. Returns its message, or null. */
function pushInPieces(decoder: RecordedDecoder, bytes: Buffer, sizes: readonly number[]): string | null {
  let offset = 0;
  for (let turn = 0; offset < bytes.length; turn += 1) {
    const size = sizes[turn % sizes.length] ?? bytes.length;
    try {
      decoder.push(bytes.subarray(offset, offset + size));
    } catch (error) {
      expect(error).to.be.instanceOf(DarkroomError).with.property('code', 'BAD_REQUEST');
      return error instanceof Error ? error.message : String(error);
    }
    offset += size;
  }
  return null;
}

const signal = fc.constantFrom<FrameKind>('GO', 'CANCEL', 'BEAT').map((kind) => ({ kind, payload: Buffer.alloc(0) }));
const message = fc
  .tuple(
    fc.constantFrom<FrameKind>('HELLO', 'WELCOME', 'JOB', 'REFUSE', 'OUTPUT', 'DONE', 'FAIL'),
    fc.uint8Array({ minLength: 2, maxLength: 300 }),
  )
  .map(([kind, payload]) => ({ kind, payload: Buffer.from(payload) }));
const data = fc
  .uint8Array({ minLength: 1, maxLength: 2000 })
  .map((payload) => ({ kind: 'DATA' as const, payload: Buffer.from(payload) }));
const frames = fc.array(fc.oneof(signal, message, data), { maxLength: 20 });
const sizes = fc.array(fc.integer({ min: 1, max: 400 }), { minLength: 1, maxLength: 30 });

function encode({ kind, payload }: Frame): Buffer {
  return Buffer.concat([encodeHeader(kind, payload.length), payload]);
}

describe('decoder', () => {
  it('returns the sent frames, for every split of the stream', () => {
    fc.assert(
      fc.property(frames, sizes, (sent, pieces) => {
        const decoder = new RecordedDecoder();
        const bytes = Buffer.concat(sent.map(encode));
        expect(pushInPieces(decoder, bytes, pieces)).to.equal(null);
        expect(decoder.frames).to.deep.equal(sent);
        expect(decodeWhole(bytes).frames).to.deep.equal(sent);
      }),
    );
  });

  it('returns the same frames byte by byte', () => {
    const sent = [
      { kind: 'HELLO', payload: Buffer.from('{}') },
      { kind: 'DATA', payload: Buffer.from([1, 2, 3]) },
      { kind: 'BEAT', payload: Buffer.alloc(0) },
      { kind: 'DATA', payload: Buffer.from([4]) },
    ] as const;
    const decoder = new RecordedDecoder();
    expect(pushInPieces(decoder, Buffer.concat(sent.map(encode)), [1])).to.equal(null);
    expect(decoder.frames).to.deep.equal(sent);
  });

  it('collects the longest control payload and passes on the longest DATA', () => {
    const sent = [
      { kind: 'FAIL', payload: Buffer.alloc(MAX_CONTROL_BYTES, 7) },
      { kind: 'DATA', payload: Buffer.alloc(MAX_DATA_BYTES, 8) },
    ] as const;
    const decoder = new RecordedDecoder();
    expect(pushInPieces(decoder, Buffer.concat(sent.map(encode)), [65_536, 1, 4097])).to.equal(null);
    expect(decoder.frames.map(({ kind, payload }) => [kind, payload.length])).to.deep.equal([
      ['FAIL', MAX_CONTROL_BYTES],
      ['DATA', MAX_DATA_BYTES],
    ]);
    expect(decoder.frames.every(({ payload }, index) => sent[index]?.payload.equals(payload))).to.equal(true);
  });

  it('returns the frames before the first invalid header in any bytes, then throws one BAD_REQUEST', () => {
    const noise = fc.uint8Array({ minLength: HEADER_BYTES, maxLength: 600 }).map((bytes) => Buffer.from(bytes));
    const spoiled = fc.tuple(frames, noise).map(([sent, rest]) => Buffer.concat([...sent.map(encode), rest]));
    let refusals = 0;
    fc.assert(
      fc.property(fc.oneof(noise, spoiled), sizes, (bytes, pieces) => {
        const expected = decodeWhole(bytes);
        const decoder = new RecordedDecoder();
        expect(pushInPieces(decoder, bytes, pieces)).to.equal(expected.refusal);
        expect(decoder.frames).to.deep.equal(expected.frames);
        if (expected.refusal !== null) refusals += 1;
      }),
    );
    expect(refusals).to.be.greaterThan(10);
  });

  it('calls admit once for each frame, before it passes on any of its bytes', () => {
    const order: string[] = [];
    const decoder = new RecordedDecoder((kind) => {
      order.push(`${kind} after ${decoder.frames.length} frames`);
    });
    decoder.push(encode({ kind: 'BEAT', payload: Buffer.alloc(0) }));
    decoder.push(encodeHeader('HELLO', 2));
    decoder.push(Buffer.from('{}'));
    decoder.push(encode({ kind: 'DATA', payload: Buffer.from([1]) }));
    expect(order).to.deep.equal(['BEAT after 0 frames', 'HELLO after 1 frames', 'DATA after 2 frames']);
    expect(decoder.frames).to.have.length(3);
  });

  it('refuses a length of 4 GiB at the header, for every kind', () => {
    for (let number = 0; number <= 255; number += 1) {
      const decoder = new RecordedDecoder();
      expect(() => decoder.push(Buffer.from([number, 0xff, 0xff, 0xff, 0xff])))
        .to.throw(DarkroomError)
        .with.property('code', 'BAD_REQUEST');
      expect(decoder.admitted).to.be.empty;
    }
  });

  it('passes on nothing and allocates nothing for a refused frame', () => {
    const header = encodeHeader('JOB', MAX_CONTROL_BYTES);
    const before = process.memoryUsage().arrayBuffers;
    const decoders = Array.from({ length: 1000 }, () => {
      const decoder = new RecordedDecoder((kind) => {
        throw invalid('HELLO', 'a frame', kind);
      });
      expect(() => decoder.push(header)).to.throw(DarkroomError, "received 'JOB'");
      return decoder;
    });
    const grown = process.memoryUsage().arrayBuffers - before;
    expect(decoders.every((decoder) => decoder.frames.length === 0)).to.equal(true);
    expect(grown).to.be.lessThan(10 * MAX_CONTROL_BYTES);
  });

  it('throws the error of a handler from push', () => {
    const decoder = new RecordedDecoder(() => {
      throw new RangeError('not now');
    });
    expect(() => decoder.push(encodeHeader('BEAT', 0))).to.throw(RangeError, 'not now');
  });
});
