import { setTimeout as sleep } from 'node:timers/promises';
import type { UntypedServiceImplementation } from '@grpc/grpc-js';
import { z } from 'zod';
import { DarkroomError, expectedMessage } from '../../../shared/errors.ts';
import type { Calls, Send } from './calls.ts';
import { DARKROOM, IMAGE_PROCESSOR } from './protos.ts';
import { readMessage } from './read-message.ts';

/** Milliseconds between two checks for a client that watches. */
const POLL_MS = 500;
/** The empty name stands for the whole server. */
const SERVICES: readonly string[] = ['', IMAGE_PROCESSOR, DARKROOM];

const requestSchema = z.object({ service: z.string() });

/**
 * `grpc.health.v1.Health`: SERVING while the server accepts tasks and can process them. Only the definition comes from
 * grpc-health-check: its implementation never forgets a watched name, and does not ask for the status itself.
 */
export function healthService(isReady: () => boolean, calls: Calls): UntypedServiceImplementation {
  const statusOf = () => (isReady() ? 'SERVING' : 'NOT_SERVING');
  return {
    Check: calls.unary('brief', (request) => {
      checkKnown(readMessage(requestSchema, request).service);
      return { status: statusOf() };
    }),
    Watch: calls.serverStream('waits', (request, send, { signal }) => {
      const { service } = readMessage(requestSchema, request);
      return watch(SERVICES.includes(service) ? statusOf : () => 'SERVICE_UNKNOWN', send, signal);
    }),
    List: calls.unary('brief', () => {
      return { statuses: Object.fromEntries(SERVICES.map((service) => [service, { status: statusOf() }])) };
    }),
  };
}

function checkKnown(service: string): void {
  if (SERVICES.includes(service)) return;
  const expected = SERVICES.map((one) => `'${one}'`).join(', ');
  throw new DarkroomError('NOT_FOUND', expectedMessage(`one of ${expected}`, 'service', service));
}

/** Sends the status now and at each change, until the client disconnects. */
async function watch(statusOf: () => string, send: Send, signal: AbortSignal): Promise<void> {
  let sent = '';
  for (;;) {
    const now = statusOf();
    if (now !== sent) await send({ status: now });
    sent = now;
    await sleep(POLL_MS, undefined, { signal });
  }
}
