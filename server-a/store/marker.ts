import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { systemCode } from '../../shared/errors.ts';
import { failpointAfter } from '../../shared/failpoint.ts';
import type { FileSystem } from '../../shared/file-system.ts';
import { parseJson } from '../../shared/json.ts';
import type { Identity } from './identity.ts';

/** The marker's name in the data folder. */
export const MARKER_FILE = 'store.json';

const markerSchema = z.object({ store: z.string().min(1), opened: z.int().nonnegative() });

/**
 * The marker beside the store: the id that the store must have, and the least number of times that it must have been
 * opened. `unreadable`: there is a file, but nothing can be read from it. `null`: there is none.
 */
export type Marker = Identity | 'unreadable' | null;

/** Reads the marker of a data folder. */
export async function readMarker(folder: string): Promise<Marker> {
  try {
    const marker = markerSchema.safeParse(parseJson(await readFile(join(folder, MARKER_FILE), 'utf8')));
    return marker.success ? { id: marker.data.store, opened: marker.data.opened } : 'unreadable';
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return null;
    throw error;
  }
}

/** Writes the marker. It is durable after the next fsync of the folder. */
export async function writeMarker(folder: string, { id, opened }: Identity, files: FileSystem): Promise<void> {
  const temporary = join(folder, `${MARKER_FILE}.tmp`);
  const handle = await files.open(temporary, 'w', 0o600);
  try {
    await handle.writeFile(`${JSON.stringify({ store: id, opened })}\n`);
    await handle.sync();
  } finally {
    await handle.close();
  }
  await failpointAfter(files.rename(temporary, join(folder, MARKER_FILE)), 'marker-written');
}
