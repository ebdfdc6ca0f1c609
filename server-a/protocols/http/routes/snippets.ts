import { DarkroomError, expectedMessage, invalid } from '../../../../shared/errors.ts';
import { parseJson } from '../../../../shared/json.ts';
import { MEBIBYTE } from '../../../../shared/limits.ts';
import { type Label, readClassification } from '../../../../shared/operations/classify.ts';
import { type Box, boxesSchema, MAX_BOXES, type Snippet, snippetNameSchema } from '../../../../shared/snippet.ts';
import type { SnippetChange } from '../../../tasks/snippets.ts';
import type { Tasks } from '../../../tasks/tasks.ts';
import { FORM_LIMITS, type FormLimits, overheadBytes } from '../body/multipart.ts';
import { receiveForm } from '../body/picture-form.ts';
import { isRawPicture, receiveRaw } from '../body/raw-picture.ts';
import { checkDeclaredBytes, checkEncoding, declaredBytes, inviteBody, unsupportedBody } from '../body/request-body.ts';
import { readUrlencoded, type UrlencodedLimits } from '../body/small-body.ts';
import { PICTURE_FIELD } from '../body/upload-fields.ts';
import type { HttpContext, HttpRouter, HttpSettings } from '../http-context.ts';

const BOXES_FIELD = 'Boxes';
/** The limits of an upload, and room for MAX_BOXES boxes with the longest numbers, as a text or as a file. */
const LIMITS: FormLimits = {
  ...FORM_LIMITS,
  fieldSize: 2 * MEBIBYTE,
  textSize: 2 * MEBIBYTE + FORM_LIMITS.textSize,
  parts: FORM_LIMITS.parts + 1,
};
/** Room for the boxes alone, with every byte as a three-byte escape. */
const TEXT_LIMITS: UrlencodedLimits = { bytes: 3 * LIMITS.fieldSize + LIMITS.fieldNameSize, fields: LIMITS.fields };

/** A snippet as clients see it, with the labels of its task. */
interface ShownSnippet extends Snippet {
  readonly labels: readonly Label[];
}

/** `PUT /snippets/<n>/` and `GET /snippets/<n>/`, with and without the slash. */
export function routeSnippets(router: HttpRouter, tasks: Tasks, settings: HttpSettings): void {
  const maxBytes = settings.maxUploadMb * MEBIBYTE;
  router.get('/snippets/:name', (context) => {
    context.body = show(tasks.getSnippet(nameOf(context)));
  });

  router.put('/snippets/:name', async (context) => {
    const name = nameOf(context);
    checkEncoding(context);
    const snippet = await tasks.putSnippet(name, await receiveChange(context, tasks, maxBytes));
    if (snippet.task !== null) context.state.taskId = snippet.task.task_id;
    context.body = show(snippet);
  });
}

/** The snippet's number in the path. Throws NOT_FOUND for a name that no snippet can have. */
function nameOf(context: HttpContext): number {
  const { name } = context['params'];
  const parsed = snippetNameSchema.safeParse(/^[1-9]\d*$/.test(String(name)) ? Number(name) : undefined);
  if (parsed.success) return parsed.data;
  throw new DarkroomError('NOT_FOUND', expectedMessage("a snippet's number", 'the snippet', name));
}

/** Chooses the reader by the declared media type. */
async function receiveChange(context: HttpContext, tasks: Tasks, maxBytes: number): Promise<SnippetChange> {
  const type = context.request.type.trim().toLowerCase();
  if (type === 'multipart/form-data') return receivePictured(context, tasks, maxBytes);
  if (type === 'application/x-www-form-urlencoded') return receiveText(context);
  if (isRawPicture(context)) return { received: await receiveRaw(context, tasks, maxBytes) };
  if (type === '' && declaredBytes(context.req) === 0) return {};
  throw unsupportedBody('multipart/form-data, application/x-www-form-urlencoded or image/*', type);
}

async function receiveText(context: HttpContext) {
  return { boxes: readBoxes(await readUrlencoded(context, TEXT_LIMITS)) };
}

async function receivePictured(context: HttpContext, tasks: Tasks, maxBytes: number) {
  checkDeclaredBytes(context.req, maxBytes + overheadBytes(LIMITS));
  tasks.checkRoom(declaredBytes(context.req));
  inviteBody(context);
  const names = { field: PICTURE_FIELD, texts: [BOXES_FIELD] };
  const options = { tasks, ...names, maxBytes, limits: LIMITS, checkFields: readBoxes };
  const { fields, picture } = await receiveForm(context, options);
  try {
    return { received: picture ?? undefined, boxes: readBoxes(fields) };
  } catch (error) {
    if (picture !== null) await tasks.discard(picture);
    throw error;
  }
}

/** The boxes in a form's fields, or undefined for none or a blank field. Throws BAD_REQUEST. */
function readBoxes(fields: Readonly<Record<string, unknown>>): Box[] | undefined {
  // `Boxes[0][X]`, as some programs write lists, is no other field that may be ignored.
  const name = Object.keys(fields).find((key) => key.startsWith(BOXES_FIELD)) ?? BOXES_FIELD;
  const { [name]: text = '' } = fields;
  if (name === BOXES_FIELD && typeof text === 'string' && text.trim() === '') return undefined;
  const isText = name === BOXES_FIELD && typeof text === 'string';
  const parsed = boxesSchema.safeParse(isText ? parseJson(text) : undefined);
  if (parsed.success) return parsed.data;
  throw invalid(`a JSON list of at most ${MAX_BOXES} {"X":…,"Y":…,"W":…,"H":…}`, name, text);
}

function show(snippet: Snippet): ShownSnippet {
  const [classification] = snippet.task?.outputs.flatMap((output) => readClassification(output) ?? []) ?? [];
  return { ...snippet, labels: classification?.labels ?? [] };
}
