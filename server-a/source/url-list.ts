import { z } from 'zod';
import { invalid } from '../../shared/errors.ts';

/** Most URLs of one list (docs/zeromq.md). */
export const MOST_URLS = 10_000;
/** Most characters of a URL; no server that answers takes more. */
const LONGEST_URL = 16_384;

const listSchema = z.array(z.unknown()).max(MOST_URLS);
const urlSchema = z.string().max(LONGEST_URL);

/** A list of URLs as a client gave it; a missing one is empty. Throws BAD_REQUEST. */
export function readUrlList(urls: unknown = []): string[] {
  const list = listSchema.safeParse(urls);
  if (!list.success) {
    throw invalid(
      `a list of at most ${MOST_URLS} texts`,
      'urls',
      Array.isArray(urls) ? `${urls.length} entries` : urls,
    );
  }
  return list.data.map((entry, index) => {
    const url = urlSchema.safeParse(entry);
    if (url.success) return url.data;
    throw invalid(`a text of at most ${LONGEST_URL} characters`, `urls[${index}]`, entry);
  });
}
