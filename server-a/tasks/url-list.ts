import { z } from 'zod';
import { invalid } from '../../shared/errors.ts';

/** The greatest number of URLs in one list (docs/zeromq.md). */
export const MAX_URLS = 10_000;
/** The greatest number of characters of an entry. */
const MAX_ENTRY_CHARACTERS = 65_536;

const listSchema = z.array(z.unknown()).max(MAX_URLS);
const entrySchema = z.string().max(MAX_ENTRY_CHARACTERS);

/**
 * Reads a client's list of URLs; a missing list and null are empty. Entries are not checked to be URLs: the task of
 * such an entry fails later. Throws BAD_REQUEST.
 */
export function readUrlList(urls: unknown): string[] {
  const list = listSchema.safeParse(urls ?? []);
  if (!list.success) {
    throw invalid(`a list of at most ${MAX_URLS} texts`, 'urls', Array.isArray(urls) ? `${urls.length} entries` : urls);
  }
  return list.data.map((entry, index) => {
    const url = entrySchema.safeParse(entry);
    if (url.success) return url.data;
    throw invalid(`a text of at most ${MAX_ENTRY_CHARACTERS} characters`, `urls[${index}]`, entry);
  });
}
