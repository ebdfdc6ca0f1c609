/** Each failpoint has the name of the durable step before it. The list follows the order of the steps. */
export const FAILPOINTS = [
  // The data folder is made and opened.
  'folder-made',
  'store-opened',
  'marker-written',
  'folder-synced',
  'recovery-committed',
  // An upload becomes a task; the answer follows. A picture that another task keeps is linked, not written.
  'input-written',
  'input-synced',
  'input-renamed',
  'input-linked',
  'input-folder-synced',
  'task-committed',
  // A listed URL becomes a task, and gets its picture.
  'list-committed',
  'picture-committed',
  // An attempt begins. It may be released, or end with Server B.
  'attempt-committed',
  'release-committed',
  'crash-committed',
  // An attempt ends, its end is published, and the subscriber has acknowledged it.
  'output-written',
  'output-synced',
  'output-renamed',
  'output-folder-synced',
  'end-committed',
  'end-published',
  'acknowledgement-committed',
  // Outputs expire, records are removed, boxes are stored or removed.
  'expiry-committed',
  'removal-committed',
  'boxes-committed',
] as const;

export type FailpointName = (typeof FAILPOINTS)[number];

/** A test's action at a failpoint. It may end the process, throw, or block the caller until its promise resolves. */
export type FailpointAction = (name: FailpointName) => Promise<void> | undefined;

let action: FailpointAction | null = null;

/** Runs `next` at every failpoint of this thread from now on; null turns failpoints off. For tests only. */
export function setFailpoints(next: FailpointAction | null): void {
  action = next;
}

/** Marks the end of a durable step. Returns a promise only if a test blocks the caller here. */
export function failpoint(name: FailpointName): Promise<void> | undefined {
  return action === null ? undefined : action(name);
}

/** The promise of a durable step, with the failpoint after it. Without failpoints it is the same promise. */
export function failpointAfter<Value>(step: Promise<Value>, name: FailpointName): Promise<Value> {
  return action === null ? step : passing(step, name);
}

async function passing<Value>(step: Promise<Value>, name: FailpointName): Promise<Value> {
  const value = await step;
  await failpoint(name);
  return value;
}
