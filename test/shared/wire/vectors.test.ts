import { readFileSync } from 'node:fs';
import { expect } from 'chai';
import { DarkroomError } from '../../../shared/errors.ts';
import {
  encodeHeader,
  encodeMessage,
  FRAME_NUMBERS,
  type FrameKind,
  type MessageKind,
} from '../../../shared/wire/frame.ts';
import { MESSAGE_SCHEMAS, parseMessage } from '../../../shared/wire/messages.ts';
import { RecordedDecoder } from '../../support/recorded-frames.ts';

/** From dist/test/shared/wire to the page in the repository. */
const page = readFileSync(new URL('../../../../docs/protocol.md', import.meta.url), 'utf8');

interface Block {
  /** The text after the block's first word. */
  readonly title: string;
  readonly bytes: Buffer;
}

function blocks(language: 'vector' | 'refused'): Block[] {
  const fence = new RegExp(`^\`\`\`${language} (.+)\n([^\`]*)^\`\`\`$`, 'gm');
  return [...page.matchAll(fence)].map(([, title = '', digits = '']) => ({ title, bytes: fromHex(digits) }));
}

function fromHex(text: string): Buffer {
  const digits = text.replace(/\s/g, '');
  const bytes = Buffer.from(digits, 'hex');
  if (bytes.length * 2 !== digits.length) throw new Error(`Expected hexadecimal digits in a vector, received ${text}`);
  return bytes;
}

function isKind(text: string): text is FrameKind {
  return Object.hasOwn(FRAME_NUMBERS, text);
}

function isMessageKind(kind: FrameKind): kind is MessageKind {
  return Object.hasOwn(MESSAGE_SCHEMAS, kind);
}

/** The parts of a vector's title: the kind, then the argument of the encoder. */
function readTitle(title: string): { kind: FrameKind; given: string } {
  const [kind = '', ...rest] = title.split(' ');
  if (!isKind(kind)) throw new Error(`Expected a frame kind at the head of a vector, received ${title}`);
  return { kind, given: rest.join(' ') };
}

function encode(kind: FrameKind, given: string): Buffer {
  if (isMessageKind(kind)) return encodeMessage(kind, JSON.parse(given));
  const payload = fromHex(given);
  return Buffer.concat([encodeHeader(kind, payload.length), payload]);
}

describe('the test vectors of docs/protocol.md', () => {
  const vectors = blocks('vector').map((block) => ({ ...block, ...readTitle(block.title) }));
  const refused = blocks('refused');

  it('show every frame kind, and frames that are refused', () => {
    expect(new Set(vectors.map((vector) => vector.kind))).to.deep.equal(new Set(Object.keys(FRAME_NUMBERS)));
    expect(refused).to.not.be.empty;
    expect(page.match(/^```(vector|refused)/gm)).to.have.length(vectors.length + refused.length);
  });

  for (const [index, { kind, given, bytes }] of vectors.entries()) {
    it(`encode vector ${index + 1}, ${kind}`, () => {
      expect(encode(kind, given).toString('hex')).to.equal(bytes.toString('hex'));
    });

    it(`decode vector ${index + 1}, ${kind}`, () => {
      const decoder = new RecordedDecoder();
      decoder.push(bytes);
      expect(decoder.frames).to.have.length(1);
      expect(decoder.frames[0]?.kind).to.equal(kind);
      const payload = decoder.frames[0]?.payload ?? Buffer.alloc(0);
      if (isMessageKind(kind)) {
        expect(parseMessage(kind, MESSAGE_SCHEMAS[kind], payload)).to.deep.equal(JSON.parse(given));
      } else expect(payload).to.deep.equal(fromHex(given));
    });
  }

  for (const { title, bytes } of refused) {
    it(`refuse ${title}`, () => {
      const decoder = new RecordedDecoder();
      expect(() => decoder.push(bytes))
        .to.throw(DarkroomError)
        .with.property('code', 'BAD_REQUEST');
      expect(decoder.frames).to.be.empty;
      expect(decoder.admitted).to.be.empty;
    });
  }
});
