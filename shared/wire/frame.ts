import { invalid } from '../errors.ts';

/** The version of the protocol; both sides must send the same in their greeting. */
export const PROTOCOL_VERSION = 2;
/** kind u8, then length u32 big-endian. */
export const HEADER_BYTES = 5;
/** Longest JSON payload, in bytes. */
export const MAX_CONTROL_BYTES = 64 * 1024;
/** Longest DATA payload, in bytes. */
export const MAX_DATA_BYTES = 1024 * 1024;

/** Every frame kind with its number on the wire; docs/protocol.md describes them. */
export const FRAME_NUMBERS = {
  HELLO: 1,
  WELCOME: 2,
  JOB: 3,
  GO: 4,
  REFUSE: 5,
  DATA: 6,
  OUTPUT: 7,
  DONE: 8,
  FAIL: 9,
  CANCEL: 10,
  BEAT: 11,
} as const;

export type FrameKind = keyof typeof FRAME_NUMBERS;
/** The kinds whose payload is a JSON object. */
export type MessageKind = Exclude<FrameKind, 'DATA' | SignalKind>;
/** The kinds without payload. */
export type SignalKind = 'GO' | 'CANCEL' | 'BEAT';

const SIGNALS: ReadonlySet<FrameKind> = new Set(['GO', 'CANCEL', 'BEAT']);
const KINDS: readonly (FrameKind | undefined)[] = kindsByNumber();

/** A frame's first five bytes. */
export function encodeHeader(kind: FrameKind, length: number): Buffer {
  const header = Buffer.allocUnsafe(HEADER_BYTES);
  header.writeUInt8(FRAME_NUMBERS[kind], 0);
  header.writeUInt32BE(length, 1);
  return header;
}

/** A whole control frame. Throws BAD_REQUEST when the message does not fit into 65,536 bytes. */
export function encodeMessage(kind: MessageKind, message: object): Buffer {
  const payload = Buffer.from(JSON.stringify(message));
  checkLength(kind, payload.length);
  return Buffer.concat([encodeHeader(kind, payload.length), payload]);
}

/** Kind and payload length from a frame's first five bytes. Throws BAD_REQUEST for an unknown kind or a bad length. */
export function decodeHeader(header: Buffer): { kind: FrameKind; length: number } {
  const number = header.readUInt8(0);
  const kind = KINDS[number];
  if (kind === undefined) throw invalid(`a frame kind from 1 to ${KINDS.length - 1}`, 'kind', number);
  const length = header.readUInt32BE(1);
  checkLength(kind, length);
  return { kind, length };
}

function checkLength(kind: FrameKind, length: number): void {
  if (SIGNALS.has(kind)) {
    if (length !== 0) throw invalid('0 bytes', `the length of ${kind}`, length);
    return;
  }
  const [least, most] = kind === 'DATA' ? [1, MAX_DATA_BYTES] : [2, MAX_CONTROL_BYTES];
  if (length < least || length > most) throw invalid(`${least} to ${most} bytes`, `the length of ${kind}`, length);
}

function kindsByNumber(): (FrameKind | undefined)[] {
  const kinds: (FrameKind | undefined)[] = [];
  for (const kind of Object.keys(FRAME_NUMBERS).filter(isFrameKind)) kinds[FRAME_NUMBERS[kind]] = kind;
  return kinds;
}

function isFrameKind(text: string): text is FrameKind {
  return Object.hasOwn(FRAME_NUMBERS, text);
}
