/** One change to a file: `remove` bytes at offset `at` give way to `insert`. */
export interface Edit {
  readonly at: number;
  readonly remove: number;
  readonly insert: Uint8Array;
}

/** What is wrong with a file, and whether its pixels are all there. */
export interface Examination {
  /** Changes after which a strict decoder accepts the file, in the order of their offsets. */
  readonly edits: readonly Edit[];
  /** A sentence for each kind of change, for the client. */
  readonly warnings: readonly string[];
  /** `damaged` when no change can bring all pixels back; `unknown` where the file's structure does not show it. */
  readonly pixels: 'whole' | 'damaged' | 'unknown';
}

/** The examination of a file whose pixels are missing or damaged. */
export const DAMAGED: Examination = { edits: [], warnings: [], pixels: 'damaged' };
/** The examination of a file that is not understood here. */
export const UNKNOWN: Examination = { edits: [], warnings: [], pixels: 'unknown' };

/**
 * The file after the edits, which are in the order of their offsets and do not overlap. It reuses the memory of `body`,
 * whose content is lost, unless the edits make the file longer: memory was reserved for one copy of the file.
 */
export function applyEdits(body: Uint8Array<ArrayBuffer>, edits: readonly Edit[]): Uint8Array<ArrayBuffer> {
  let growth = 0;
  let fits = true;
  for (const { remove, insert } of edits) {
    growth += insert.length - remove;
    fits &&= growth <= 0;
  }
  const target = fits ? body : new Uint8Array(body.length + growth);
  let from = 0;
  let to = 0;
  for (const { at, remove, insert } of edits) {
    target.set(body.subarray(from, at), to);
    to += at - from;
    target.set(insert, to);
    to += insert.length;
    from = at + remove;
  }
  target.set(body.subarray(from), to);
  return target.subarray(0, body.length + growth);
}

/** "1 stray byte", "18 stray bytes". */
export function counted(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`;
}
