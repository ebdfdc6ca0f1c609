/** Characters of a file name that are stored, as many as most file systems allow. The name is only shown. */
const MAX_CHARACTERS = 255;

/** The part of a client's file name that is stored; null for an empty name. */
export function keptFilename(name: string): string | null {
  return [...name].slice(0, MAX_CHARACTERS).join('') || null;
}
