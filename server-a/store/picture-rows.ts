import type { DatabaseSyncInstance, StatementSyncInstance } from '@photostructure/sqlite';
import type { ChangedRow, Command, Statement } from './statements.ts';

/** The pictures of a task that no record names after a change. */
type Unnamed = 'none' | 'input' | 'outputs' | 'all';

/** What each statement makes of the pictures of a task that it has changed. */
const UNNAMED: Readonly<Partial<Record<Statement, (row: ChangedRow) => Unnamed>>> = {
  endAttempt: inputOfEnded,
  endWaiting: inputOfEnded,
  endOpen: inputOfEnded,
  crashedAlone: inputOfEnded,
  expireOriginals: inputOfEnded,
  releaseOlder: inputOfEnded,
  expire: () => 'outputs',
  forget: () => 'all',
};

/** The names of a task's pictures begin with its id and a dot, after which a slash is the next character. */
const OF_TASK = "name > $id || '.' AND name < $id || '/'";
const DELETIONS: Readonly<Record<Exclude<Unnamed, 'none'>, string>> = {
  input: "name = $id || '.input'",
  outputs: `${OF_TASK} AND name <> $id || '.input'`,
  all: OF_TASK,
};

/** The rows of pictures as the writer thread changes them, in the transaction of the records that name them. */
export class PictureRows {
  readonly #insert: StatementSyncInstance;
  readonly #total: StatementSyncInstance;
  readonly #deletions: Readonly<Record<Exclude<Unnamed, 'none'>, StatementSyncInstance>>;

  constructor(database: DatabaseSyncInstance) {
    const deletion = (what: Exclude<Unnamed, 'none'>) =>
      database.prepare(`DELETE FROM pictures WHERE ${DELETIONS[what]} RETURNING name, size`);
    this.#insert = database.prepare('INSERT INTO pictures (name, size, bytes) VALUES ($name, $size, $bytes)');
    this.#total = database.prepare('SELECT coalesce(sum(size), 0) AS total FROM pictures');
    this.#deletions = { input: deletion('input'), outputs: deletion('outputs'), all: deletion('all') };
  }

  /** The size of all pictures in bytes. */
  total(): number {
    return Number(this.#total.get()?.['total']);
  }

  /** True when a command may change pictures beside its own rows. */
  mayChange({ statement, pictures = [] }: Command): boolean {
    return pictures.length > 0 || UNNAMED[statement] !== undefined;
  }

  /**
   * Writes the pictures of a command that has changed `rows`, and deletes those that no record names now. Gives the rows
   * with the names of what was deleted, and by how many bytes the size of all pictures has changed.
   */
  follow({ statement, pictures = [] }: Command, rows: ChangedRow[]): { rows: ChangedRow[]; pictureBytes: number } {
    let pictureBytes = 0;
    const changed = rows.map((row) => {
      const deleted = this.#delete(UNNAMED[statement]?.(row) ?? 'none', row.id);
      if (deleted.length === 0) return row;
      for (const { size } of deleted) pictureBytes -= size;
      return { ...row, deleted: deleted.map(({ name }) => name) };
    });
    if (rows.length === 0) return { rows: changed, pictureBytes };
    for (const { name, size, bytes } of pictures) {
      if (bytes.length !== size) throw new Error(`Expected ${size} bytes for ${name}, received ${bytes.length}`);
      this.#insert.run({ name, size, bytes });
      pictureBytes += size;
    }
    return { rows: changed, pictureBytes };
  }

  #delete(what: Unnamed, id: string): { name: string; size: number }[] {
    if (what === 'none') return [];
    // The table is STRICT, so the types are right.
    return this.#deletions[what].all({ id }).map((row) => ({ name: String(row['name']), size: Number(row['size']) }));
  }
}

/** A task that has not ended still needs its input. */
function inputOfEnded({ status, stage, original_kept }: ChangedRow): Unnamed {
  const isNeeded = status === 'pending' || status === 'processing' || original_kept === 1;
  return isNeeded || stage === 'listed' ? 'none' : 'input';
}
