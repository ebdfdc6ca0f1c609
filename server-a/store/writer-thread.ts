/**
 * The writer thread: the only one that writes the store. Each order is a group of commands and becomes one
 * transaction, so that one fsync serves them all and none happens on the event loop.
 */
import { parentPort, workerData } from 'node:worker_threads';
import type { DatabaseSyncInstance, StatementSyncInstance } from '@photostructure/sqlite';
import { openForWriting } from './schema.ts';
import { type Command, type Outcome, STATEMENTS, type WriterMessage, type WriterOrder } from './statements.ts';

/** SQLite's result codes (https://sqlite.org/rescode.html) after which the file is sound and a later group may do. */
const SQLITE_BUSY = 5;
const SQLITE_FULL = 13;

const port = parentPort;
if (port === null) throw new Error('Expected store-writer to be a worker thread, received the main thread');

const tell = (message: WriterMessage) => port.postMessage(message);

try {
  serve(openForWriting(String(workerData)));
  tell({ kind: 'opened' });
} catch (error) {
  tell({ kind: 'refused', error: asError(error) });
}

type Statements = ReadonlyMap<string, StatementSyncInstance>;

function serve(database: DatabaseSyncInstance): void {
  const statements = new Map(Object.entries(STATEMENTS).map(([name, sql]) => [name, database.prepare(sql)]));
  port?.on('message', (order: WriterOrder) => {
    if (order.kind === 'commit') {
      tell({ kind: 'committed', outcomes: commit(database, statements, order.commands) });
    } else {
      database.close();
      port?.close();
    }
  });
}

/**
 * Runs a group in one transaction. A command is one statement, and SQLite takes back a statement that fails without
 * touching those before it, so no savepoints are needed. Where an error took the whole transaction with it, every
 * command of the group has failed.
 */
function commit(database: DatabaseSyncInstance, statements: Statements, commands: readonly Command[]): Outcome[] {
  try {
    database.exec('BEGIN IMMEDIATE');
    const outcomes = commands.map((command) => run(database, statements, command));
    database.exec('COMMIT');
    return outcomes;
  } catch (error) {
    if (database.isTransaction) database.exec('ROLLBACK');
    // After any other failure (an fsync's, say) nobody knows what is on disk: the thread must not go on.
    if (![SQLITE_BUSY, SQLITE_FULL].includes(resultCode(error))) throw error;
    return commands.map(() => failure(error));
  }
}

function run(database: DatabaseSyncInstance, statements: Statements, command: Command): Outcome {
  try {
    const statement = statements.get(command.statement);
    if (statement === undefined) throw new Error(`Expected a known statement, received ${command.statement}`);
    return { rows: statement.all(command.parameters) };
  } catch (error) {
    if (!database.isTransaction) throw error;
    return failure(error);
  }
}

/** The code is read here because an error's own properties do not cross threads. */
function failure(error: unknown): Outcome {
  return { error: asError(error), diskFull: resultCode(error) === SQLITE_FULL };
}

/** SQLite's primary result code, which is the extended one's low byte; 0 for an error that is not SQLite's. */
function resultCode(error: unknown): number {
  return error instanceof Error && 'errcode' in error ? Number(error.errcode) & 0xff : 0;
}

function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error));
}
