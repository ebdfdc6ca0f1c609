import { z } from 'zod';
import { invalid } from '../../shared/errors.ts';

/** Most URLs of one list (docs/zeromq.md). */
export const MOST_URLS = 10_000;
/** Most characters of an entry, be it a URL or not. */
const LONGEST_ENTRY = 65_536;

const listSchema = z.array(z.unknown()).max(MOST_URLS);
const entrySchema = z.string().max(LONGEST_ENTRY);

/** A list of URLs as a client gave it; a missing one is empty, null too. What is no URL is a
 * matter of its own entry, later. Throws BAD_REQUEST. */
export function readUrlList(urls: unknown): string[] {
  const list = listSchema.safeParse(urls ?? []);
  if (!list.success) {
    throw invalid(
      `a list of at most ${MOST_URLS} texts`,
      'urls',
      Array.isArray(urls) ? `${urls.length} entries` : urls,
    );
  }
  return list.data.map((entry, index) => {
    const url = entrySchema.safeParse(entry);
    if (url.success) return url.data;
    throw invalid(`a text of at most ${LONGEST_ENTRY} characters`, `urls[${index}]`, entry);
  });
}
