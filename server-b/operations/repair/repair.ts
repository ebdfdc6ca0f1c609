import type { InputFormat } from '../../../shared/operations/format.ts';
import { applyEdits, type Examination } from './edits.ts';
import { examineGif } from './gif.ts';
import { examineJpeg } from './jpeg.ts';
import { examinePng } from './png.ts';
import { examineWebp } from './webp.ts';

const EXAMINERS: Readonly<Partial<Record<InputFormat, (body: Uint8Array) => Examination | Promise<Examination>>>> = {
  jpeg: examineJpeg,
  png: examinePng,
  gif: examineGif,
  webp: examineWebp,
};

/** A picture as a strict decoder wants it. */
export interface Repaired {
  readonly body: Uint8Array<ArrayBuffer>;
  /** What was repaired, a sentence each, for the client. */
  readonly warnings: readonly string[];
}

/**
 * Repairs what a strict decoder refuses although no pixel depends on it. Null when there is nothing to repair, or when
 * pixels are missing or damaged. A strict decode of the result must still succeed: for a progressive JPEG only that shows
 * whether the pixels are all there. The content of `body` may be lost.
 */
export async function repair(format: InputFormat, body: Uint8Array<ArrayBuffer>): Promise<Repaired | null> {
  const examination = await EXAMINERS[format]?.(body);
  if (examination?.pixels !== 'whole' || examination.edits.length === 0) return null;
  return { body: applyEdits(body, examination.edits), warnings: examination.warnings };
}
