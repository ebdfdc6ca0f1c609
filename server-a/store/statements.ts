import type { FailpointName } from '../../shared/failpoint.ts';
import type { TaskStatus } from '../../shared/task.ts';
import type { Identity } from './identity.ts';
import type { Marker } from './marker.ts';

/** The columns that a task's end changes. */
interface End {
  readonly id: string;
  readonly status: Extract<TaskStatus, 'completed' | 'failed' | 'canceled'>;
  /** JSON, like `error`, `timings` and `warnings`. */
  readonly outputs: string;
  /** 1 when files belong to the outputs. */
  readonly outputs_kept: 0 | 1;
  readonly error: string | null;
  readonly timings: string;
  readonly warnings: string;
  readonly now: number;
  readonly expires_at: number;
}

/** The parameters of each write, by the name of its statement. `most` is the greatest number of rows to change. */
interface CommandParameters {
  readonly insert: {
    readonly id: string;
    readonly filename: string | null;
    readonly header: string;
    readonly bytes: number;
    readonly sha256: string;
    readonly specs: string;
    readonly original_kept: 0 | 1;
    readonly original_expires_at: number | null;
    readonly snippet: number | null;
    readonly boxes: string | null;
    readonly now: number;
  };
  /** `tasks` is a JSON list of pairs: id and URL. */
  readonly insertListed: {
    readonly tasks: string;
    readonly specs: string;
    readonly audience: string | null;
    readonly now: number;
  };
  readonly makeReady: {
    readonly id: string;
    readonly filename: string | null;
    readonly header: string;
    readonly bytes: number;
    readonly sha256: string;
  };
  readonly begin: { readonly id: string; readonly now: number };
  readonly endAttempt: End & { readonly attempt: number };
  readonly endWaiting: End;
  readonly endOpen: End;
  readonly release: { readonly id: string; readonly attempt: number; readonly suspect: 0 | 1 };
  /** `crashed` and `outlived` are the errors, as JSON, for too many strikes and for too many crashes. */
  readonly crashedAlone: {
    readonly id: string;
    readonly attempt: number;
    readonly strike: 0 | 1;
    readonly most_strikes: number;
    readonly most_crashes: number;
    readonly crashed: string;
    readonly outlived: string;
    readonly now: number;
    readonly expires_at: number;
  };
  readonly recover: Record<string, never>;
  readonly expire: { readonly now: number; readonly most: number };
  readonly expireOriginals: { readonly now: number; readonly most: number };
  readonly acknowledge: { readonly id: string };
  readonly releaseOlder: { readonly snippet: number; readonly now: number };
  readonly drawBoxes: { readonly snippet: number; readonly boxes: string; readonly now: number };
  readonly putBoxes: { readonly name: number; readonly boxes: string; readonly now: number };
  readonly removeBoxes: { readonly snippet: number };
  readonly expireBoxes: { readonly before: number };
  readonly releaseQuarantined: { readonly sha256: string };
  readonly expireQuarantined: { readonly before: number };
  readonly forget: { readonly id: string };
  readonly purge: { readonly before: number; readonly most: number };
  readonly shrink: Record<string, never>;
}

/** The name of a write. */
export type Statement = keyof CommandParameters;

/** The failpoint after the commit of each statement. */
export const FAILPOINTS: Readonly<Record<Statement, FailpointName>> = {
  insert: 'task-committed',
  insertListed: 'list-committed',
  makeReady: 'picture-committed',
  begin: 'attempt-committed',
  release: 'release-committed',
  crashedAlone: 'crash-committed',
  endAttempt: 'end-committed',
  endWaiting: 'end-committed',
  endOpen: 'end-committed',
  acknowledge: 'acknowledgement-committed',
  recover: 'recovery-committed',
  expire: 'expiry-committed',
  expireOriginals: 'expiry-committed',
  releaseOlder: 'expiry-committed',
  releaseQuarantined: 'removal-committed',
  expireQuarantined: 'expiry-committed',
  forget: 'removal-committed',
  purge: 'removal-committed',
  shrink: 'removal-committed',
  drawBoxes: 'boxes-committed',
  putBoxes: 'boxes-committed',
  removeBoxes: 'boxes-committed',
  expireBoxes: 'boxes-committed',
};

/**
 * A small picture that is stored with its record. The bytes are alone in their buffer, which moves to the writer thread:
 * they are empty after the write. A command that comes later with the same ones fails if it would change a row.
 */
export interface PictureRow {
  readonly name: string;
  /** The number of bytes. */
  readonly size: number;
  readonly bytes: Uint8Array<ArrayBuffer>;
}

/**
 * One write: the name of a statement and its parameters. The pictures are written in the same transaction, if the
 * statement changes a row.
 */
export type Command = {
  [Name in Statement]: {
    readonly statement: Name;
    readonly parameters: CommandParameters[Name];
    readonly pictures?: readonly PictureRow[];
  };
}[Statement];

/** The columns that every statement returns of each task it changed: after the change, or before a deletion. */
export interface ChangedRow {
  readonly id: string;
  readonly status: TaskStatus;
  readonly stage: 'listed' | 'ready';
  readonly attempt: number;
  readonly original_kept: 0 | 1;
  readonly audience: string | null;
  /** JSON; only from the statement `expire`. */
  readonly outputs?: string;
  /** The names of the task's pictures that were deleted with the change; undefined for none. */
  readonly deleted?: readonly string[];
}

/**
 * The result of one command of a group: the changed rows and by how much the size of all pictures has changed, or SQLite's
 * error and whether it means a full disk.
 */
export type Outcome =
  | { readonly rows: ChangedRow[]; readonly pictureBytes: number }
  | { readonly error: Error; readonly diskFull: boolean };

/** What the writer thread opens. */
export interface WriterData {
  readonly path: string;
  /** What the store must be, by the marker beside it. */
  readonly marker: Marker;
}

/**
 * A message from the writer thread to the main thread. `found` is what was found in a store that is refused; null when
 * it cannot be opened for another reason. `isClean`: every record is in store.db.
 */
export type WriterMessage =
  | { readonly kind: 'opened'; readonly identity: Identity; readonly pictureBytes: number }
  | { readonly kind: 'refused'; readonly error: Error; readonly found: string | null }
  | { readonly kind: 'committed'; readonly outcomes: readonly Outcome[] }
  | { readonly kind: 'closed'; readonly isClean: boolean; readonly error: Error | null };

/** A message from the main thread to the writer thread: commit a group, or close the store. */
export type WriterOrder =
  | { readonly kind: 'commit'; readonly commands: readonly Command[] }
  | { readonly kind: 'close' };

/** Pages that one `shrink` takes from the end of the file; most must be copied to free pages before. */
const SHRINK_PAGES = 128;

const END = `
  UPDATE tasks SET status = $status, outputs = $outputs, outputs_kept = $outputs_kept, error = $error,
    timings = $timings, warnings = $warnings, finished_at = $now, expires_at = $expires_at
  WHERE id = $id`;
const FENCE = "id = $id AND attempt = $attempt AND status = 'processing'";
const MAY_RUN_AGAIN = 'strikes + $strike < $most_strikes AND crashes + 1 < $most_crashes';
const CHANGED = 'RETURNING id, status, stage, attempt, original_kept, audience';

/** The SQL of every write. Each is one statement and returns the tasks it changed. */
export const STATEMENTS: Readonly<Record<Statement, string>> = {
  insert: `
    INSERT INTO tasks (id, status, stage, filename, header, bytes, sha256, specs, original_kept,
      original_expires_at, snippet, boxes, created_at)
    VALUES ($id, 'pending', 'ready', $filename, $header, $bytes, $sha256, $specs, $original_kept,
      $original_expires_at, $snippet, $boxes, $now) ${CHANGED}`,
  insertListed: `
    INSERT INTO tasks (id, status, stage, source_url, specs, audience, created_at)
    SELECT value ->> 0, 'pending', 'listed', value -> 1, $specs, $audience, $now
    FROM json_each($tasks) ORDER BY key ${CHANGED}`,
  makeReady: `
    UPDATE tasks SET stage = 'ready', filename = $filename, header = $header, bytes = $bytes, sha256 = $sha256
    WHERE id = $id AND status = 'pending' AND stage = 'listed' ${CHANGED}`,
  begin: `
    UPDATE tasks SET status = 'processing', attempt = attempt + 1, started_at = coalesce(started_at, $now)
    WHERE id = $id AND status = 'pending' AND stage = 'ready' ${CHANGED}`,
  endAttempt: `${END} AND attempt = $attempt AND status = 'processing' ${CHANGED}`,
  endWaiting: `${END} AND status = 'pending' ${CHANGED}`,
  endOpen: `${END} AND status IN ('pending', 'processing') ${CHANGED}`,
  release: `UPDATE tasks SET status = 'pending', suspect = max(suspect, $suspect) WHERE ${FENCE} ${CHANGED}`,
  crashedAlone: `
    UPDATE tasks SET strikes = strikes + $strike, crashes = crashes + 1, suspect = 1,
      status = iif(${MAY_RUN_AGAIN}, 'pending', 'failed'),
      error = iif(${MAY_RUN_AGAIN}, NULL, iif(strikes + $strike < $most_strikes, $outlived, $crashed)),
      finished_at = iif(${MAY_RUN_AGAIN}, NULL, $now),
      expires_at = iif(${MAY_RUN_AGAIN}, NULL, $expires_at)
    WHERE ${FENCE} ${CHANGED}`,
  recover: `UPDATE tasks SET status = 'pending' WHERE finished_at IS NULL AND status = 'processing' ${CHANGED}`,
  expire: `
    UPDATE tasks SET outputs_kept = 0 WHERE sequence IN
      (SELECT sequence FROM tasks WHERE outputs_kept = 1 AND expires_at <= $now LIMIT $most) ${CHANGED}, outputs`,
  expireOriginals: `
    UPDATE tasks SET original_kept = 0 WHERE sequence IN
      (SELECT sequence FROM tasks WHERE original_kept = 1 AND original_expires_at <= $now LIMIT $most) ${CHANGED}`,
  acknowledge: `UPDATE tasks SET audience = NULL WHERE id = $id AND finished_at IS NOT NULL ${CHANGED}`,
  releaseOlder: `
    UPDATE tasks SET original_kept = 0, original_expires_at = $now, boxes = NULL, boxes_at = NULL
    WHERE snippet = $snippet AND original_kept = 1
      AND sequence < (SELECT max(sequence) FROM tasks WHERE snippet = $snippet AND original_kept = 1) ${CHANGED}`,
  drawBoxes: `
    UPDATE tasks SET boxes = $boxes, boxes_at = $now
    WHERE sequence = (SELECT max(sequence) FROM tasks WHERE snippet = $snippet AND original_kept = 1) ${CHANGED}`,
  putBoxes: `
    INSERT INTO snippets (name, boxes, updated_at) VALUES ($name, $boxes, $now)
    ON CONFLICT (name) DO UPDATE SET boxes = excluded.boxes, updated_at = excluded.updated_at`,
  removeBoxes: 'DELETE FROM snippets WHERE name = $snippet',
  expireBoxes: 'DELETE FROM snippets WHERE updated_at <= $before',
  releaseQuarantined: 'DELETE FROM quarantine WHERE sha256 = $sha256',
  expireQuarantined: 'DELETE FROM quarantine WHERE since <= $before',
  forget: `DELETE FROM tasks WHERE id = $id AND finished_at IS NOT NULL AND audience IS NULL ${CHANGED}`,
  purge: `
    DELETE FROM tasks WHERE sequence IN
      (SELECT sequence FROM tasks WHERE expires_at <= $before AND outputs_kept = 0 AND original_kept = 0
        AND coalesce(original_expires_at, 0) <= $before LIMIT $most) ${CHANGED}`,
  shrink: `PRAGMA incremental_vacuum(${SHRINK_PAGES})`,
};
