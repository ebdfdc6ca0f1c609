/** Characters of a file's name that are kept, as many as most file systems allow: it is only shown. */
const MOST_CHARACTERS = 255;

/** What is kept of the name a client gives a picture; null for an empty one. */
export function keptFilename(name: string): string | null {
  return [...name].slice(0, MOST_CHARACTERS).join('') || null;
}
