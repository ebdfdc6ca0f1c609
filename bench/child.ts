import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';

/** Sends a message to a process by IPC and resolves with its next one. Rejects when the process ends before. */
export async function ask(child: ChildProcess, message: object): Promise<unknown> {
  const answered = new AbortController();
  const { signal } = answered;
  const ended = once(child, 'exit', { signal }).then(([code]) => {
    throw new Error(`A process of the benchmark has ended with ${code}.`);
  });
  // Its rejection by the abort below concerns nobody.
  ended.catch(() => {});
  const received = once(child, 'message', { signal });
  received.catch(() => {});
  try {
    child.send(message);
    const [reply]: unknown[] = await Promise.race([received, ended]);
    return reply;
  } finally {
    answered.abort();
  }
}

/** Ends a process that ends when its parent disconnects, and resolves when it has. */
export async function dismiss(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, 'exit');
  child.disconnect();
  await ended;
}

/** The id of a process that was started; throws when it could not be. */
export function pidOf(child: ChildProcess): number {
  if (child.pid === undefined) throw new Error('A process of the benchmark could not be started.');
  return child.pid;
}
