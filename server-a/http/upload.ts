import { DarkroomError, invalid } from '../../shared/errors.ts';
import type { Operation } from '../../shared/operations.ts';
import { hasEnded } from '../../shared/task.ts';
import type { ReceivedPicture, Tasks } from '../tasks/tasks.ts';
import type { HttpContext, HttpRouter, HttpSettings } from './http-context.ts';
import { FORM_OVERHEAD_BYTES, receiveForm } from './multipart.ts';
import { readWait, waitForEnd } from './prefer.ts';
import { checkDeclaredBytes, declaredBytes, RequestBody } from './request-body.ts';
import { PICTURE_FIELD, readFields, toOperations } from './upload-fields.ts';

const MEBIBYTE = 1024 * 1024;

interface Upload {
  readonly picture: ReceivedPicture;
  readonly operations: readonly Operation[];
}

/** `POST /upload`: a form, or a raw picture with its fields in the query, becomes a task. */
export function routeUpload(router: HttpRouter, tasks: Tasks, settings: HttpSettings): void {
  const maxBytes = settings.maxUploadMb * MEBIBYTE;
  router.post('/upload', async (context) => {
    const wait = readWait(context);
    const { picture, operations } = await receiveUpload(context, tasks, maxBytes);
    const accepted = await tasks.submit(picture, operations);
    context.state.taskId = accepted.task_id;
    const task = await waitForEnd(context, tasks, accepted, wait);
    context.set('Location', `/status/${task.task_id}`);
    if (hasEnded(task.status)) {
      context.status = 200;
    } else {
      context.status = 202;
      context.set('Retry-After', '1');
    }
    context.body = task;
  });
}

/** Picks the reader by the declared media type of the request. */
function receiveUpload(context: HttpContext, tasks: Tasks, maxBytes: number): Promise<Upload> {
  const type = context.request.type.trim().toLowerCase();
  const encoding = context.get('Content-Encoding');
  if (encoding !== '' && encoding !== 'identity') throw unsupported('no Content-Encoding', encoding);
  if (type === 'multipart/form-data') return receiveMultipart(context, tasks, maxBytes);
  if (type.startsWith('image/') || type === 'application/octet-stream') return receiveRaw(context, tasks, maxBytes);
  if (type === '' && declaredBytes(context.req) === 0) throw noPicture();
  throw unsupported('multipart/form-data, image/* or application/octet-stream', type);
}

async function receiveMultipart(context: HttpContext, tasks: Tasks, maxBytes: number): Promise<Upload> {
  const misplaced = Object.keys(queryFields(context))[0];
  if (misplaced !== undefined) throw invalid('only wait', 'the query beside a form', misplaced);
  checkDeclaredBytes(context.req, maxBytes + FORM_OVERHEAD_BYTES);
  tasks.checkRoom(declaredBytes(context.req));
  inviteBody(context);
  const form = await receiveForm(context, { tasks, field: PICTURE_FIELD, maxBytes, checkFields: readFields });
  const { picture } = form;
  try {
    const operations = toOperations(readFields(form.fields));
    if (picture === null) throw noPicture();
    return { picture, operations };
  } catch (error) {
    if (picture !== null) await tasks.discard(picture);
    throw error;
  }
}

async function receiveRaw(context: HttpContext, tasks: Tasks, maxBytes: number): Promise<Upload> {
  const { signal } = context.state;
  const bytes = declaredBytes(context.req);
  const operations = toOperations(readFields(queryFields(context)));
  checkDeclaredBytes(context.req, maxBytes);
  tasks.checkRoom(bytes);
  inviteBody(context);
  const body = RequestBody.of(context.req, maxBytes, signal);
  try {
    return { picture: await tasks.receive(body, { filename: null, bytes, signal }), operations };
  } finally {
    body.destroy();
  }
}

function queryFields(context: HttpContext): Record<string, unknown> {
  const { wait: _wait, ...fields } = context.query;
  return fields;
}

/** Says `100 Continue` to a client that asked first (RFC 9110, section 10.1.1): only now is the body wanted. */
function inviteBody(context: HttpContext): void {
  if (context.get('Expect').toLowerCase() === '100-continue') context.res.writeContinue();
}

function noPicture(): DarkroomError {
  return invalid('a picture file', PICTURE_FIELD, undefined);
}

function unsupported(expected: string, received: string): DarkroomError {
  const shown = received === '' ? 'none' : `'${received.slice(0, 60)}'`;
  return new DarkroomError('UNSUPPORTED_MEDIA_TYPE', `Expected ${expected} for the request's body, received ${shown}`);
}
