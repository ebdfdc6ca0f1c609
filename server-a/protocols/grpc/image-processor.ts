import type { UntypedServiceImplementation } from '@grpc/grpc-js';
import { z } from 'zod';
import { circlePath } from '../../tasks/circle-by-path.ts';
import type { Tasks } from '../../tasks/tasks.ts';
import type { Calls } from './calls.ts';
import { readMessage } from './read-message.ts';

const requestSchema = z.object({ path: z.string(), size: z.int() });

/** `service.ImageProcessor`, for existing clients. Reads and writes only paths below `pathRoot`. */
export function imageProcessorService(
  tasks: Tasks,
  pathRoot: string | undefined,
  calls: Calls,
): UntypedServiceImplementation {
  return {
    ProcessImage: calls.unary('waits', (request, { signal }) =>
      circlePath(tasks, pathRoot, readMessage(requestSchema, request), signal),
    ),
  };
}
