import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';

/** Sends a message to a process by IPC and resolves with its next one. Rejects when the process ends before. */
export function ask(child: ChildProcess, message: object): Promise<unknown> {
  const reply = nextMessage(child);
  child.send(message);
  return reply;
}

/** Resolves with a process's next message by IPC. Rejects when the process ends before. */
export async function nextMessage(child: ChildProcess): Promise<unknown> {
  const over = new AbortController();
  const { signal } = over;
  const ended = once(child, 'exit', { signal }).then(([code]) => {
    throw new Error(`A process of the benchmark has ended with ${code}.`);
  });
  const received = once(child, 'message', { signal });
  // The abort rejects the one that has lost, which concerns nobody.
  ended.catch(() => {});
  received.catch(() => {});
  try {
    const [message]: unknown[] = await Promise.race([received, ended]);
    return message;
  } finally {
    over.abort();
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
