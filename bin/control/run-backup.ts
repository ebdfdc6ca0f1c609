import { open, rename, rm } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { nanoid } from 'nanoid';
import { z } from 'zod';
import { syncFolder } from '../../shared/durable-folder.ts';
import { NODE_FILES } from '../../shared/file-system.ts';
import { control } from './client.ts';

const resultSchema = z.object({ pictures: z.int(), missing: z.int() });

/** What was saved. */
export interface SavedBackup extends z.infer<typeof resultSchema> {
  /** The size of the archive. */
  readonly bytes: number;
}

/**
 * Saves a backup of the Darkroom that runs on the data folder. The file gets its name, durably and with mode 0600, when
 * it is complete. Throws like {@link control} and the system's error; no file is left then.
 */
export async function saveBackup(dataDir: string, file: string, signal: AbortSignal): Promise<SavedBackup> {
  const target = resolve(file);
  const temporary = join(dirname(target), `.${basename(target)}.${nanoid(8)}.part`);
  const handle = await open(temporary, 'wx', 0o600);
  try {
    const answer = control(dataDir, { command: 'backup' }, signal);
    let bytes = 0;
    let next = await answer.next();
    for (; !next.done; next = await answer.next()) {
      await handle.writeFile(next.value);
      bytes += next.value.length;
    }
    const result = resultSchema.parse(next.value);
    await handle.sync();
    await handle.close();
    await rename(temporary, target);
    await syncFolder(dirname(target), NODE_FILES);
    return { ...result, bytes };
  } catch (error) {
    await handle.close();
    await rm(temporary, { force: true });
    throw error;
  }
}
