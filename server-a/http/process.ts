import { z } from 'zod';
import { DarkroomError } from '../../shared/errors.ts';
import { type CirclePathRequest, circlePath } from '../tasks/circle-path.ts';
import type { Tasks } from '../tasks/tasks.ts';
import { FORM_LIMITS, receiveFields } from './form.ts';
import type { HttpContext, HttpRouter, HttpSettings } from './http-context.ts';
import { answerEarly } from './problem.ts';
import { withServerSignal } from './server-signal.ts';
import { readJson, readUrlencoded, type UrlencodedLimits } from './small-body.ts';

const MEBIBYTE = 1024 * 1024;
/** A path has at most 4096 bytes (PATH_MAX of Linux), and may be written in escapes. */
const MOST_BYTES = 64 * 1024;
const TEXT_LIMITS: UrlencodedLimits = { bytes: MOST_BYTES, fields: FORM_LIMITS.fields };
/** An existing client sends the file itself beside its path; it is read and forgotten. */
const FILE_FIELD = 'file';

/** protobuf's int32, as gRPC has it; 0 where it is missing. */
const size = z.int32().default(0);
const requestSchema = z.object({ path: z.string(), size });
/** The same two as text. */
const fieldsSchema = z.object({
  path: z.string(),
  size: z
    .string()
    .regex(/^-?\d{1,10}$/)
    .transform(Number)
    .pipe(z.int32())
    .default(0),
});

/** `POST /process`: contract 4 over HTTP. */
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
    context.body = await withServerSignal(context, (signal) => circlePath(tasks, settings.pathRoot, request, signal));
  });
}

/** Null for a body that cannot be read. Throws PAYLOAD_TOO_LARGE. */
async function readRequest(context: HttpContext, maxFileBytes: number): Promise<CirclePathRequest | null> {
  try {
    const type = context.request.type.toLowerCase();
    if (type === 'multipart/form-data') {
      const fields = await receiveFields(context, { field: FILE_FIELD, maxBytes: maxFileBytes });
      return fieldsSchema.safeParse({ ...fields }).data ?? null;
    }
    if (type === 'application/x-www-form-urlencoded') {
      return fieldsSchema.safeParse(await readUrlencoded(context, TEXT_LIMITS)).data ?? null;
    }
    return requestSchema.safeParse(await readJson(context, MOST_BYTES)).data ?? null;
  } catch (error) {
    const isUnreadable = error instanceof DarkroomError && error.code !== 'PAYLOAD_TOO_LARGE';
    if (isUnreadable) return null;
    throw error;
  }
}
