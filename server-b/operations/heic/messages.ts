import { z } from 'zod';

/** What a decoding thread is started with. */
export interface ThreadTask {
  /** The compiled WebAssembly of libheif, which threads share. */
  readonly module: object;
  /** In an ArrayBuffer of its own, which moves to the thread. */
  readonly file: Uint8Array<ArrayBuffer>;
  /** Bytes by which the memory of the WebAssembly may grow. */
  readonly maxBytes: number;
}

const bytes = z.instanceof(Uint8Array);

/** What a decoding thread sends back, once. An error thrown in a thread loses its class, so a failure is data, too. */
export const threadReplySchema = z.discriminatedUnion('kind', [
  z.object({
    kind: z.literal('decoded'),
    width: z.int().positive(),
    height: z.int().positive(),
    channels: z.literal([3, 4]),
    /** 8 bits a channel, upright, in the colours of the profile. */
    pixels: bytes,
    /** The ICC profile of the picture; null where it has none. */
    icc: bytes.nullable(),
    /** The colour primaries by their number in ITU-T H.273; null where the file does not name them. */
    primaries: z.int().nullable(),
  }),
  z.object({ kind: z.literal('failed'), reason: z.string() }),
]);
export type ThreadReply = z.infer<typeof threadReplySchema>;
export type Decoded = Omit<Extract<ThreadReply, { kind: 'decoded' }>, 'kind'>;
