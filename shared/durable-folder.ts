import { dirname, resolve } from 'node:path';
import { failpointAfter } from './failpoint.ts';
import type { FileSystem } from './file-system.ts';

/** Makes the names in a folder durable (fsync of the directory, as fsync(2) asks for after a rename). */
export async function syncFolder(folder: string, files: FileSystem): Promise<void> {
  const handle = await files.open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** Creates a folder and its missing parents, and makes their names durable. */
export async function makeFolder(path: string, mode: number, files: FileSystem): Promise<void> {
  const folder = resolve(path);
  const first = await failpointAfter(files.mkdir(folder, mode), 'folder-made');
  if (first !== undefined) await syncParents(folder, first, files);
}

/** Syncs the parent of `folder` and every folder above it, up to the parent of `first`, the uppermost new folder. */
async function syncParents(folder: string, first: string, files: FileSystem): Promise<void> {
  await syncFolder(dirname(folder), files);
  if (folder !== first) await syncParents(dirname(folder), first, files);
}
