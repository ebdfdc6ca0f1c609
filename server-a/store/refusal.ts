import { DarkroomError } from '../../shared/errors.ts';

const WAYS_ON =
  'Nothing was removed. Either restore a backup into an empty folder (darkroom restore FILE), or start with --new-store, ' +
  'which moves every file to lost+found in the data folder.';

/** The refusal to open a data folder whose files and records may not belong together. */
export class StoreRefusal extends DarkroomError {
  /** What was found, as a part of a sentence. */
  readonly found: string;

  constructor(folder: string, found: string, options?: ErrorOptions) {
    super('BAD_REQUEST', `The data folder ${folder} was not opened, because ${found}. ${WAYS_ON}`, options);
    this.found = found;
  }
}

/**
 * SQLite's result codes (https://sqlite.org/rescode.html) for a file that cannot be read (IOERR), is damaged (CORRUPT)
 * or is no database (NOTADB).
 */
const DAMAGE_CODES = [10, 11, 26];

/** True for an error of SQLite that means a damaged file. */
export function isDamage(error: unknown): boolean {
  return DAMAGE_CODES.includes(resultCode(error));
}

/** SQLite's primary result code: the low byte of the extended one; 0 for an error that is not from SQLite. */
export function resultCode(error: unknown): number {
  return error instanceof Error && 'errcode' in error ? Number(error.errcode) & 0xff : 0;
}
