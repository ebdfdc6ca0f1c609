/**
 * The writer thread, the only writer of the store. Each group of commands is one transaction, so that one fsync serves
 * the whole group and none blocks the event loop.
 */
import { closeSync, openSync, statSync } from 'node:fs';
import { parentPort, workerData } from 'node:worker_threads';
import type { DatabaseSyncInstance, StatementSyncInstance } from '@photostructure/sqlite';
import { checkContent, STORE_FILE } from './check-content.ts';
import { markClosed, markOpen } from './identity.ts';
import { PictureRows } from './picture-rows.ts';
import { isDamage, resultCode, StoreRefusal } from './refusal.ts';
import { openForWriting } from './schema.ts';
import {
  type ChangedRow,
  type Command,
  type Outcome,
  STATEMENTS,
  type WriterData,
  type WriterMessage,
  type WriterOrder,
} from './statements.ts';

/**
 * SQLite's result codes (https://sqlite.org/rescode.html) after which the file is intact and a later group may succeed.
 */
const SQLITE_BUSY = 5;
const SQLITE_FULL = 13;

const port = parentPort;
if (port === null) throw new Error('writer-thread.ts runs only as a worker thread.');

const send = (message: WriterMessage) => port.postMessage(message);
const { path, marker }: WriterData = workerData;

try {
  send({ kind: 'opened', ...serve() });
} catch (error) {
  send({ kind: 'refused', error: asError(error), found: foundIn(error) });
}

/** The prepared statements of the open store. */
interface Prepared {
  readonly database: DatabaseSyncInstance;
  readonly statements: ReadonlyMap<string, StatementSyncInstance>;
  readonly pictures: PictureRows;
}

function serve() {
  // SQLite would make it with mode 0644, and gives the files beside it the mode of this one.
  closeSync(openSync(path, 'a', 0o600));
  if (statSync(path).size > 0) checkContent(path, marker);
  const database = openForWriting(path);
  const statements = new Map(Object.entries(STATEMENTS).map(([name, sql]) => [name, database.prepare(sql)]));
  const prepared = { database, statements, pictures: new PictureRows(database) };
  port?.on('message', (order: WriterOrder) => {
    if (order.kind === 'commit') {
      send({ kind: 'committed', outcomes: commit(prepared, order.commands) });
    } else {
      send(close(database));
      port?.close();
    }
  });
  return { identity: markOpen(database), pictureBytes: prepared.pictures.total() };
}

/** Closes the store. When a record could not be moved to store.db, the write-ahead log must stay. */
function close(database: DatabaseSyncInstance): WriterMessage {
  try {
    const isClean = markClosed(database);
    database.close();
    return { kind: 'closed', isClean, error: null };
  } catch (error) {
    return { kind: 'closed', isClean: false, error: asError(error) };
  }
}

/** What was found in a store that is refused, else null. */
function foundIn(error: unknown): string | null {
  if (error instanceof StoreRefusal) return error.found;
  return isDamage(error) ? `${STORE_FILE} is damaged (${asError(error).message})` : null;
}

/**
 * Runs a group in one transaction. SQLite rolls back only the statement that fails, so a savepoint is needed only for a
 * command of more than one. When an error rolls back the whole transaction, every command of the group has failed.
 */
function commit(prepared: Prepared, commands: readonly Command[]): Outcome[] {
  const { database, pictures } = prepared;
  try {
    database.exec('BEGIN IMMEDIATE');
    const outcomes = commands.map((command) =>
      pictures.mayChange(command) ? runWithPictures(prepared, command) : run(prepared, command),
    );
    database.exec('COMMIT');
    return outcomes;
  } catch (error) {
    if (database.isTransaction) database.exec('ROLLBACK');
    // After any other failure, such as a failed fsync, the content of the disk is unknown: the thread must end.
    if (![SQLITE_BUSY, SQLITE_FULL].includes(resultCode(error))) throw error;
    return commands.map(() => failure(error));
  }
}

function run({ database, statements }: Prepared, command: Command): Outcome {
  try {
    return { rows: rowsOf(statements, command), pictureBytes: 0 };
  } catch (error) {
    if (!database.isTransaction) throw error;
    return failure(error);
  }
}

function runWithPictures({ database, statements, pictures }: Prepared, command: Command): Outcome {
  database.exec('SAVEPOINT command');
  try {
    const outcome = pictures.follow(command, rowsOf(statements, command));
    database.exec('RELEASE command');
    return outcome;
  } catch (error) {
    if (!database.isTransaction) throw error;
    database.exec('ROLLBACK TO command; RELEASE command');
    return failure(error);
  }
}

function rowsOf(statements: Prepared['statements'], { statement, parameters }: Command): ChangedRow[] {
  const prepared = statements.get(statement);
  if (prepared === undefined) throw new Error(`Expected a known statement, received ${statement}`);
  return prepared.all(parameters);
}

/** Reads the code here because an error's own properties are lost between threads. */
function failure(error: unknown): Outcome {
  return { error: asError(error), diskFull: resultCode(error) === SQLITE_FULL };
}

function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error));
}
