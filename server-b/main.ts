import { nanoid } from 'nanoid';
import { AlignedInterval } from '../shared/aligned.ts';
import { SYSTEM_CLOCK } from '../shared/clock.ts';
import { resolveSettings } from '../shared/config.ts';
import { systemCode } from '../shared/errors.ts';
import { parseJson } from '../shared/json.ts';
import { createLogger } from '../shared/log.ts';
import {
  BEAT_MS,
  type ChildMessage,
  IDENTITY_VARIABLE,
  type Identity,
  identitySchema,
  supervisorMessageSchema,
} from './child-messages.ts';
import { SERVER_B_PREFIX, serverBSettings } from './config.ts';

/** How long the supervisor may take to read `stuck` before the instance ends itself all the same, in milliseconds. */
const TELL_MS = 200;

/**
 * The process that a supervisor forks: one instance of Server B. It drains and ends when the supervisor asks for it,
 * and ends at once when the supervisor has ended. It ignores SIGINT and SIGTERM, because a Ctrl-C reaches the whole
 * process group and the supervisor acts on it.
 */
async function main(): Promise<void> {
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => {});
  process.on('disconnect', endNow);
  // The supervisor may have ended while this module was loading, before the listener was there.
  if (!process.connected) endNow();
  const settings = resolveSettings(serverBSettings, SERVER_B_PREFIX, {}, process.env);
  const log = createLogger('server-b', settings.logLevel);
  // A start may take long: threads load native libraries and try the model. None of that blocks this thread.
  send({ kind: 'beat' });
  new AlignedInterval(SYSTEM_CLOCK, BEAT_MS, () => send({ kind: 'beat' }));
  // On a busy machine loading the rest takes seconds, too.
  const { startServerB } = await import('./index.ts');
  const server = await startServerB(settings, { identity: identity(), stuck: endStuck, log });
  process.on('message', (message) => {
    if (!supervisorMessageSchema.safeParse(message).success) return;
    server.drain().then(
      () => process.exit(0),
      (error: unknown) => {
        log.error({ err: error }, 'Server B could not be drained');
        process.exit(1);
      },
    );
  });
  send({ kind: 'listening', ...server.address });
}

/** Who this instance is. A process that no supervisor has started takes a name of its own. */
function identity(): Identity {
  const told = identitySchema.safeParse(parseJson(process.env[IDENTITY_VARIABLE] ?? ''));
  return told.data ?? { instance: nanoid(), ended: [] };
}

/** Ends as stuck. The supervisor cannot tell this SIGKILL from any other, so it is told first. */
function endStuck(): void {
  setTimeout(endNow, TELL_MS);
  const message: ChildMessage = { kind: 'stuck' };
  if (process.connected) process.send?.(message, undefined, undefined, endNow);
}

/** `process.exit` would wait seconds for threads in native code, and keep the port open meanwhile. */
function endNow(): void {
  process.kill(process.pid, 'SIGKILL');
}

function send(message: ChildMessage): void {
  if (process.connected) process.send?.(message);
}

main().catch((error: unknown) => {
  const message = error instanceof Error ? error.message : String(error);
  const port = error instanceof Error && 'port' in error ? Number(error.port) : undefined;
  send({ kind: 'unable', message, code: systemCode(error), port });
  process.exitCode = 1;
  process.disconnect?.();
});
