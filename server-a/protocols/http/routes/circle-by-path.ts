import { z } from 'zod';
import { DarkroomError } from '../../../../shared/errors.ts';
import { MEBIBYTE } from '../../../../shared/limits.ts';
import { type CirclePathRequest, circlePath } from '../../../tasks/circle-by-path.ts';
import type { Tasks } from '../../../tasks/tasks.ts';
import { answerEarly } from '../answer/problem.ts';
import { FORM_LIMITS, receiveFields } from '../body/multipart.ts';
import { parseJsonBody, parseUrlencoded, readText } from '../body/small-body.ts';
import type { HttpContext, HttpRouter, HttpSettings } from '../http-context.ts';
import { withServerSignal } from '../server-signal.ts';

/** A path has at most 4096 bytes (PATH_MAX of Linux); escapes make it longer. */
const MOST_BYTES = 64 * 1024;
/** An existing client also sends the file itself, which is read and discarded. */
const FILE_FIELD = 'file';

/** The same range as over gRPC: an int32. 0 when missing. */
const size = z.int32().default(0);
const requestSchema = z.object({ path: z.string(), size });
/** The same as texts; an empty size counts as missing. */
const fieldsSchema = z.object({
  path: z.string(),
  size: z
    .string()
    .trim()
    .regex(/^(-?\d{1,10})?$/)
    .transform(Number)
    .pipe(z.int32())
    .default(0),
});

/** `POST /process`: crops a circle from a file on the server, like `ProcessImage` over gRPC (docs/grpc.md). */
export function routeProcess(router: HttpRouter, tasks: Tasks, settings: HttpSettings): void {
  const maxFileBytes = settings.maxUploadMb * MEBIBYTE;
  router.post('/process', async (context) => {
    const request = await readRequest(context, maxFileBytes);
    if (request === null) {
      context.status = 400;
      context.set('Content-Type', 'application/json; charset=utf-8');
      answerEarly(context, Buffer.from(JSON.stringify({ status: false, error: 'Invalid request body' })));
      return;
    }
    // The task may wait long in the queue, so a silent connection does not mean a dead client.
    context.req.setTimeout(0);
    context.body = await withServerSignal(context, (signal) => circlePath(tasks, settings.pathRoot, request, signal));
  });
}

/** The request, or null for an invalid body. Throws PAYLOAD_TOO_LARGE. */
async function readRequest(context: HttpContext, maxFileBytes: number): Promise<CirclePathRequest | null> {
  try {
    const type = context.request.type.toLowerCase();
    if (type === 'multipart/form-data') {
      const texts = Object.keys(fieldsSchema.shape);
      const fields = await receiveFields(context, { field: FILE_FIELD, texts, maxBytes: maxFileBytes });
      return fieldsSchema.safeParse(fields).data ?? null;
    }
    const text = await readText(context, MOST_BYTES);
    // JSON may have any type or none: `curl -d` declares everything as a form.
    if (type === 'application/x-www-form-urlencoded' && !/^\s*\{/.test(text)) {
      return fieldsSchema.safeParse(parseUrlencoded(text, FORM_LIMITS.fields)).data ?? null;
    }
    return requestSchema.safeParse(parseJsonBody(text)).data ?? null;
  } catch (error) {
    const isUnreadable = error instanceof DarkroomError && error.code !== 'PAYLOAD_TOO_LARGE';
    if (isUnreadable) return null;
    throw error;
  }
}
