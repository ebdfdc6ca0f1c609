import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { pipeline } from 'node:stream/promises';
import type { DatabaseSyncInstance, StatementSyncInstance } from '@photostructure/sqlite';
import { z } from 'zod';
import { inputName, outputName } from '../spool/spool.ts';
import { json, storedOutputSchema } from '../store/row.ts';

/**
 * The names in a backup, which is a tar archive, in their order; `spool/` has the files that the records name. Small
 * pictures are in the store.
 */
export const ARCHIVE = { manifest: 'manifest.json', store: 'store.db', spool: 'spool' } as const;

/** The first file of a backup. */
export const manifestSchema = z.object({
  format: z.literal('darkroom backup'),
  version: z.literal(1),
  created_at: z.string(),
  /** The id of the store, and how often it was opened. */
  store: z.string(),
  opened: z.int(),
  /** SHA-256 of store.db, in hexadecimal. */
  sha256: z.string(),
  /** Files in `spool/`. */
  files: z.int(),
  /** Pictures in store.db, of which older backups have none. */
  stored: z.int().default(0),
  /** Pictures that records name and that were missing. */
  missing: z.int(),
});

export type Manifest = z.infer<typeof manifestSchema>;

/** A picture that a record names. */
export interface NamedPicture {
  readonly name: string;
  /** In hexadecimal; null when the record does not have it. */
  readonly sha256: string | null;
}

const inputSchema = z.object({ id: z.string(), sha256: z.string().nullable() });
const outputSchema = z.object({ id: z.string(), attempt: z.int(), outputs: json(z.array(storedOutputSchema)) });

/** The pictures that the records of a store name, whether they are files or not. Throws an Error for a damaged record. */
export function* namedPictures(database: DatabaseSyncInstance): Generator<NamedPicture> {
  const inputs = database.prepare(
    "SELECT id, sha256 FROM tasks WHERE original_kept = 1 OR (finished_at IS NULL AND stage = 'ready')",
  );
  for (const row of inputs.iterate()) {
    const { id, sha256 } = inputSchema.parse(row);
    yield { name: inputName(id), sha256 };
  }
  const outputs = database.prepare('SELECT id, attempt, outputs FROM tasks WHERE outputs_kept = 1');
  for (const row of outputs.iterate()) {
    const task = outputSchema.safeParse(row);
    // A damaged record names nothing that could be found.
    if (!task.success) continue;
    for (const { header, sha256 } of task.data.outputs) {
      if (header.kind === 'picture') yield { name: outputName(task.data.id, task.data.attempt, header.name), sha256 };
    }
  }
}

/** The pictures that are in a store themselves; none in a store of an older Darkroom. */
export class StoredPictures {
  readonly #read: StatementSyncInstance | null;
  readonly #find: StatementSyncInstance | null;

  constructor(database: DatabaseSyncInstance) {
    const table = database.prepare("SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'pictures'").get();
    const prepare = (sql: string) => (table === undefined ? null : database.prepare(sql));
    this.#read = prepare('SELECT bytes FROM pictures WHERE name = ?');
    this.#find = prepare('SELECT size FROM pictures WHERE name = ?');
  }

  has(name: string): boolean {
    return this.#find?.get(name) !== undefined;
  }

  /** SHA-256 of a picture, in hexadecimal; null when the store does not have it. */
  sha256Of(name: string): string | null {
    const bytes = this.#read?.get(name)?.['bytes'];
    return bytes instanceof Uint8Array ? createHash('sha256').update(bytes).digest('hex') : null;
  }
}

/** SHA-256 of a file, in hexadecimal. */
export async function sha256Of(path: string): Promise<string> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(path), hash);
  return hash.digest('hex');
}
