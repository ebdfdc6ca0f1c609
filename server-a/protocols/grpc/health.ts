import { setTimeout as sleep } from 'node:timers/promises';
import type { UntypedServiceImplementation } from '@grpc/grpc-js';
import { z } from 'zod';
import { DarkroomError, expectedMessage } from '../../../shared/errors.ts';
import type { Calls, Send } from './calls.ts';
import { DARKROOM, IMAGE_PROCESSOR } from './protos.ts';
import { readMessage } from './read-message.ts';

/** Milliseconds between looks for those who watch. */
const LOOK_MS = 500;
/** The empty name stands for the whole server. */
const SERVICES: readonly string[] = ['', IMAGE_PROCESSOR, DARKROOM];

const requestSchema = z.object({ service: z.string() });

/**
 * `grpc.health.v1.Health`: SERVING while a task sent now would be done. The definition is grpc-health-check's; its
 * implementation keeps every name that anyone ever watched, and would have to be told of changes.
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

/** Sends the status now and at each change, until the client goes. */
async function watch(statusOf: () => string, send: Send, signal: AbortSignal): Promise<void> {
  let told = '';
  for (;;) {
    const now = statusOf();
    if (now !== told) await send({ status: now });
    told = now;
    await sleep(LOOK_MS, undefined, { signal });
  }
}
