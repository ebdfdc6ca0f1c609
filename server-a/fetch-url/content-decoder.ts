import { pipeline, Readable, type Transform } from 'node:stream';
import { createBrotliDecompress, createGunzip, createInflate, createInflateRaw } from 'node:zlib';
import { unexpectedSource } from './source-error.ts';

/** More than one is unusual, and each layer multiplies what a few bytes can become. */
const MAX_CODINGS = 2;

/** Decodes a whole body. Fails with SOURCE_ERROR for a body that is not in this coding. */
export type ContentDecoder = (source: AsyncIterable<Buffer>) => AsyncGenerator<Buffer>;

const DECODERS: Readonly<Record<string, (first: Buffer) => Transform>> = {
  gzip: () => createGunzip(),
  'x-gzip': () => createGunzip(),
  br: () => createBrotliDecompress(),
  // RFC 9110, section 8.4.1.2: some servers send the data without its zlib wrapper, whose first byte ends with 8.
  deflate: (first) => (((first[0] ?? 0) & 0x0f) === 8 ? createInflate() : createInflateRaw()),
};

/**
 * The decoders for a list of content codings (RFC 9110, section 8.4), in the order in which they are to be applied; none
 * for `identity`. Throws SOURCE_ERROR for one that is not known. The decoded body has to be bounded by its reader.
 */
export function contentDecoders(codings: string): ContentDecoder[] {
  const names = codings.split(',').flatMap((coding) => {
    const name = coding.trim().toLowerCase();
    return name === '' || name === 'identity' ? [] : [name];
  });
  if (names.length > MAX_CODINGS) throw unexpectedSource(`at most ${MAX_CODINGS} encodings`, 'more');
  return names.reverse().map((name) => {
    const create = Object.hasOwn(DECODERS, name) ? DECODERS[name] : undefined;
    if (create === undefined) {
      throw unexpectedSource('a body as it is, or in gzip, deflate or br', `one in '${name.slice(0, 30)}'`);
    }
    return (source) => decode(source, name, create);
  });
}

/** The body, decoded. It may become far larger than it was: the reader bounds it. */
export function decodeAll(source: Readable, decoders: readonly ContentDecoder[]): Readable {
  return decoders.reduce((body, decoder) => Readable.from(decoder(body)), source);
}

async function* decode(
  source: AsyncIterable<Buffer>,
  name: string,
  create: (first: Buffer) => Transform,
): AsyncGenerator<Buffer, void, undefined> {
  const chunks = source[Symbol.asyncIterator]();
  const first = await chunks.next();
  if (first.done === true) return;
  const decoder = create(first.value);
  const rest = async function* () {
    yield first.value;
    yield* { [Symbol.asyncIterator]: () => chunks };
  };
  // The decoder passes an error on to its reader below.
  pipeline(Readable.from(rest()), decoder, () => {});
  try {
    yield* decoder;
  } catch (error) {
    throw unexpectedSource(`a body in ${name}`, 'something else', error);
  } finally {
    decoder.destroy();
  }
}
