import { DarkroomError, invalid } from '../../../../shared/errors.ts';
import { MEBIBYTE } from '../../../../shared/limits.ts';
import type { OutputSpec } from '../../../../shared/operations/index.ts';
import { hasEnded, type Task } from '../../../../shared/task.ts';
import type { Presets } from '../../../tasks/presets.ts';
import type { ReceivedPicture, Tasks } from '../../../tasks/tasks.ts';
import { readWait, waitForEnd } from '../answer/prefer.ts';
import { FORM_LIMITS, overheadBytes } from '../body/multipart.ts';
import { receiveForm } from '../body/picture-form.ts';
import { FILENAME_FIELD } from '../body/raw-filename.ts';
import { isRawPicture, receiveRaw } from '../body/raw-picture.ts';
import { checkDeclaredBytes, checkEncoding, declaredBytes, inviteBody, unsupportedBody } from '../body/request-body.ts';
import { PICTURE_FIELD, readFields, toOutputs, UPLOAD_FIELDS } from '../body/upload-fields.ts';
import type { HttpContext, HttpRouter, HttpSettings } from '../http-context.ts';

interface Upload {
  /** A received picture, or the URL of one. */
  readonly source: ReceivedPicture | string;
  readonly specs: readonly OutputSpec[];
}

export interface UploadParts {
  readonly tasks: Tasks;
  readonly presets: Presets;
  readonly settings: HttpSettings;
}

interface Reading extends Omit<UploadParts, 'settings'> {
  /** The most bytes of a picture. */
  readonly maxBytes: number;
}

/** `POST /upload`: makes a task from a form, or from a raw picture or a URL with the fields in the query. */
export function routeUpload(router: HttpRouter, { tasks, presets, settings }: UploadParts): void {
  const reading = { tasks, presets, maxBytes: settings.maxUploadMb * MEBIBYTE };
  router.post('/upload', async (context) => {
    const wait = readWait(context);
    const accepted = await submit(tasks, await receiveUpload(context, reading));
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

async function submit(tasks: Tasks, { source, specs }: Upload): Promise<Task> {
  if (typeof source !== 'string') return tasks.submit(source, specs);
  const [task] = await tasks.submitUrls([source], specs);
  if (task === undefined) throw new DarkroomError('INTERNAL', 'The URL was stored without a task.');
  return task;
}

/** Chooses the reader by the declared media type. */
async function receiveUpload(context: HttpContext, reading: Reading): Promise<Upload> {
  const { tasks, presets, maxBytes } = reading;
  const type = context.request.type.trim().toLowerCase();
  checkEncoding(context);
  if (hasUrl(context)) return readUrlQuery(context, presets);
  if (type === 'multipart/form-data') return receiveMultipart(context, reading);
  if (isRawPicture(context)) {
    const { [FILENAME_FIELD]: _filename, ...fields } = queryFields(context);
    const specs = toOutputs(readFields(fields), presets);
    return { source: await receiveRaw(context, tasks, maxBytes), specs };
  }
  if (type === '' && declaredBytes(context.req) === 0) throw noPicture();
  throw unsupportedBody('multipart/form-data, image/* or application/octet-stream', type);
}

async function receiveMultipart(context: HttpContext, { tasks, presets, maxBytes }: Reading): Promise<Upload> {
  const misplaced = Object.keys(queryFields(context))[0];
  if (misplaced !== undefined) throw invalid('only wait', 'the query beside a form', misplaced);
  checkDeclaredBytes(context.req, maxBytes + overheadBytes(FORM_LIMITS));
  tasks.checkRoom(declaredBytes(context.req));
  inviteBody(context);
  const names = { field: PICTURE_FIELD, texts: UPLOAD_FIELDS };
  const options = { tasks, ...names, maxBytes, limits: FORM_LIMITS, checkFields };
  const { fields, picture } = await receiveForm(context, options);
  try {
    const known = readFields(fields);
    const specs = toOutputs(known, presets);
    if (picture !== null && known.url !== undefined) throw bothSources();
    const source = picture ?? known.url;
    if (source === undefined) throw noPicture();
    return { source, specs };
  } catch (error) {
    if (picture !== null) await tasks.discard(picture);
    throw error;
  }
}

/** Checks the fields that came before the picture. */
function checkFields(fields: Readonly<Record<string, unknown>>): void {
  if (readFields(fields).url !== undefined) throw bothSources();
}

/** An upload whose picture is the query's `url`. */
function readUrlQuery(context: HttpContext, presets: Presets): Upload {
  const { url, ...fields } = readFields(queryFields(context));
  if (url === undefined || declaredBytes(context.req) !== 0) throw bothSources();
  return { source: url, specs: toOutputs(fields, presets) };
}

/** True when the query has a `url` that is not blank. */
function hasUrl({ query }: HttpContext): boolean {
  return [query['url'] ?? []].flat().some((url) => url.trim() !== '');
}

function queryFields(context: HttpContext): Record<string, unknown> {
  const { wait: _wait, ...fields } = context.query;
  return fields;
}

function noPicture(): DarkroomError {
  return invalid('a picture file', PICTURE_FIELD, undefined);
}

function bothSources(): DarkroomError {
  return new DarkroomError('BAD_REQUEST', `Expected ${PICTURE_FIELD} or url, received both`);
}
