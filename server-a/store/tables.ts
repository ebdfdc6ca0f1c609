/** Raised whenever the tables change; kept in the file as `user_version`. */
export const SCHEMA_VERSION = 7;

/**
 * One row for each task. `sequence` is the order of submission. Times are milliseconds since 1970. header, specs,
 * outputs, error, timings and warnings are JSON with the schemas of row.ts; so is source_url, because a client may list a string
 * that SQLite cannot store as text.
 * `stage`: a `listed` task is a URL that has not been fetched; a `ready` task has its picture.
 * `outputs_kept` and `original_kept` are 1 while the task owns these files. An original without an expiry belongs to
 * `snippet`.
 * `boxes`: the boxes in a snippet's picture, as JSON; `boxes_at`: when they were last changed, else NULL.
 * `strikes`: ends of Server B that the task can have caused while it ran alone; `crashes`: all ends while it ran alone.
 * `audience`: the subscriber that has not acknowledged the task's end.
 */
const TASKS = `
  CREATE TABLE tasks (
    sequence INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    status TEXT NOT NULL CHECK (status IN ('pending', 'processing', 'completed', 'failed', 'canceled')),
    stage TEXT NOT NULL CHECK (stage IN ('listed', 'ready')),
    attempt INTEGER NOT NULL DEFAULT 0,
    strikes INTEGER NOT NULL DEFAULT 0,
    suspect INTEGER NOT NULL DEFAULT 0,
    crashes INTEGER NOT NULL DEFAULT 0,
    filename TEXT,
    source_url TEXT,
    header TEXT,
    bytes INTEGER,
    sha256 TEXT,
    specs TEXT NOT NULL,
    outputs TEXT NOT NULL DEFAULT '[]',
    outputs_kept INTEGER NOT NULL DEFAULT 0,
    original_kept INTEGER NOT NULL DEFAULT 0,
    original_expires_at INTEGER,
    snippet INTEGER,
    boxes TEXT,
    boxes_at INTEGER,
    audience TEXT,
    error TEXT,
    timings TEXT NOT NULL DEFAULT '{}',
    warnings TEXT NOT NULL DEFAULT '[]',
    created_at INTEGER NOT NULL,
    started_at INTEGER,
    finished_at INTEGER,
    expires_at INTEGER,
    CHECK (stage = 'listed' OR (header IS NOT NULL AND bytes IS NOT NULL AND sha256 IS NOT NULL))
  ) STRICT;
`;

const INDEXES = `
  CREATE INDEX tasks_open ON tasks (status, stage, sequence) WHERE finished_at IS NULL;
  CREATE INDEX tasks_kept ON tasks (expires_at) WHERE outputs_kept = 1;
  CREATE INDEX tasks_ended ON tasks (expires_at) WHERE expires_at IS NOT NULL AND original_kept = 0;
  CREATE INDEX tasks_originals ON tasks (original_expires_at) WHERE original_kept = 1;
  CREATE INDEX tasks_owed ON tasks (audience, finished_at, sequence) WHERE audience IS NOT NULL;
  CREATE INDEX tasks_snippet ON tasks (snippet, sequence) WHERE snippet IS NOT NULL AND original_kept = 1;
`;

/** One row for each snippet that has boxes but no picture. Pictures and their boxes are in `tasks`. */
const SNIPPETS = `
  CREATE TABLE snippets (
    name INTEGER PRIMARY KEY,
    boxes TEXT NOT NULL,
    updated_at INTEGER NOT NULL
  ) STRICT;
`;

/** Finds expired boxes without reading them. */
const SNIPPETS_INDEX = 'CREATE INDEX snippets_updated ON snippets (updated_at);';

/**
 * One row for each picture that has crashed Server B: the SHA-256 of its bytes, and the task in which it did so last. The
 * trigger adds it in the transaction that fails the task, whatever statement does that.
 */
const QUARANTINE = `
  CREATE TABLE quarantine (
    sha256 TEXT PRIMARY KEY,
    task_id TEXT NOT NULL,
    filename TEXT,
    since INTEGER NOT NULL
  ) STRICT;
  CREATE TRIGGER tasks_crashed AFTER UPDATE OF status ON tasks
  WHEN NEW.status = 'failed' AND NEW.error ->> '$.code' = 'WORKER_CRASHED'
  BEGIN
    INSERT INTO quarantine (sha256, task_id, filename, since)
    VALUES (NEW.sha256, NEW.id, NEW.filename, NEW.finished_at)
    ON CONFLICT (sha256) DO UPDATE SET task_id = excluded.task_id, filename = excluded.filename, since = excluded.since;
  END;
`;

/**
 * Small pictures, each written in the transaction of the record that names it, and deleted in the transaction after which
 * no record does. The names are those of files in the spool. With the sizes in the index, they are added without reading
 * a picture.
 */
const PICTURES = `
  CREATE TABLE pictures (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL,
    size INTEGER NOT NULL,
    bytes BLOB NOT NULL
  ) STRICT;
  CREATE UNIQUE INDEX pictures_names ON pictures (name, size);
`;

/** Creates the tables in an empty file. */
export const TABLES = `${TASKS} ${INDEXES} ${SNIPPETS} ${SNIPPETS_INDEX} ${QUARANTINE} ${PICTURES}`;

/** Columns that have the same name in every version. */
const COLUMNS_OF_1 = `sequence, id, status, attempt, strikes, suspect, filename, header, bytes, sha256, outputs,
  outputs_kept, error, timings, created_at, started_at, finished_at, expires_at`;

/** Moves the boxes of each snippet to its newest picture. */
const BOXES_TO_PICTURES = `
  UPDATE tasks SET (boxes, boxes_at) = (SELECT boxes, updated_at FROM snippets WHERE name = snippet)
  WHERE sequence IN (SELECT max(sequence) FROM tasks WHERE snippet IS NOT NULL AND original_kept = 1 GROUP BY snippet);
  DELETE FROM snippets
  WHERE name IN (SELECT snippet FROM tasks WHERE snippet IS NOT NULL AND original_kept = 1);
`;

/** Up to version 3 the name of an output was its operation, and labels were the only data. */
const NAME_OUTPUTS = `
  UPDATE tasks SET specs = (
    SELECT json_group_array(json_set(value, '$.name', value ->> 'operation') ORDER BY key) FROM json_each(specs));
  UPDATE tasks SET outputs = (
    SELECT json_group_array(
      iif(value ->> '$.header.kind' = 'labels',
        json_object('header', json_object('kind', 'data', 'name', value ->> '$.header.name',
          'operation', value ->> '$.header.operation',
          'data', json_object('model', value ->> '$.header.model', 'labels', json(value -> '$.header.labels'))),
          'sha256', NULL),
        json(value)) ORDER BY key) FROM json_each(outputs))
  WHERE outputs <> '[]';
`;

const VERSION_2_TO_3 = `ALTER TABLE tasks ADD COLUMN boxes TEXT; ALTER TABLE tasks ADD COLUMN boxes_at INTEGER;
  ${BOXES_TO_PICTURES} ${SNIPPETS_INDEX}`;
const VERSION_3_TO_4 = `ALTER TABLE tasks RENAME COLUMN operations TO specs; ${NAME_OUTPUTS}`;
const VERSION_4_TO_5 = "ALTER TABLE tasks ADD COLUMN warnings TEXT NOT NULL DEFAULT '[]';";
const VERSION_5_TO_6 = `ALTER TABLE tasks ADD COLUMN crashes INTEGER NOT NULL DEFAULT 0; ${QUARANTINE}`;
/** The pictures of older tasks stay files, until the tasks end or expire. */
const VERSION_6_TO_7 = PICTURES;

/** The migration from each older version. SQLite cannot drop NOT NULL, so the rows of version 1 are copied. */
export const MIGRATIONS: ReadonlyMap<unknown, string> = new Map([
  [
    1,
    `ALTER TABLE tasks RENAME TO tasks_1;
    ${TASKS}
    INSERT INTO tasks (stage, specs, ${COLUMNS_OF_1}) SELECT 'ready', operations, ${COLUMNS_OF_1} FROM tasks_1;
    DROP TABLE tasks_1;
    ${INDEXES} ${SNIPPETS} ${SNIPPETS_INDEX} ${NAME_OUTPUTS} ${QUARANTINE} ${VERSION_6_TO_7}`,
  ],
  [2, `${VERSION_2_TO_3} ${VERSION_3_TO_4} ${VERSION_4_TO_5} ${VERSION_5_TO_6} ${VERSION_6_TO_7}`],
  [3, `${VERSION_3_TO_4} ${VERSION_4_TO_5} ${VERSION_5_TO_6} ${VERSION_6_TO_7}`],
  [4, `${VERSION_4_TO_5} ${VERSION_5_TO_6} ${VERSION_6_TO_7}`],
  [5, `${VERSION_5_TO_6} ${VERSION_6_TO_7}`],
  [6, VERSION_6_TO_7],
]);
