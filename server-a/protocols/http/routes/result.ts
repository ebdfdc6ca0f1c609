import { DarkroomError, expectedMessage } from '../../../../shared/errors.ts';
import { outputNameSchema } from '../../../../shared/operations/definition.ts';
import { ORIGINAL } from '../../../../shared/operations/outputs.ts';
import type { Task } from '../../../../shared/task.ts';
import type { Tasks } from '../../../tasks/tasks.ts';
import { answerPicture } from '../answer/picture.ts';
import type { HttpContext, HttpRouter } from '../http-context.ts';
import { findTask } from './status.ts';

/** `GET /result/<id>` and `GET /result/<id>/<name>`: an output, a picture as its bytes and data as JSON. */
export function routeResult(router: HttpRouter, tasks: Tasks): void {
  router.get('/result/:id', (context) => answerResult(context, tasks));
  router.get('/result/:id/:name', (context) => answerResult(context, tasks));
}

/** Throws what `Tasks.result` throws. */
async function answerResult(context: HttpContext, tasks: Tasks): Promise<void> {
  const task = findTask(context, tasks);
  const name = readOutputName(context);
  const result = await tasks.result(task.task_id, name);
  if (result.kind === 'data') {
    context.body = result.output;
    return;
  }
  await answerPicture(context, result, downloadName(task, name)).catch(async (error: unknown) => {
    // The task may have been forgotten or may have expired a moment ago: then this throws TASK_NOT_FOUND or EXPIRED.
    if (error instanceof DarkroomError && error.code === 'SPOOL_CORRUPT') await tasks.result(task.task_id, name);
    throw error;
  });
}

/** `cat-thumb` for the output `thumb` of `cat.jpg`: the file's name for a browser, without extension. */
function downloadName({ task_id, input, outputs }: Task, name: string | undefined): string {
  const stem = (input.filename ?? task_id).replace(/\.[^.]*$/, '');
  const first = outputs.find((output) => output.url !== undefined)?.name;
  return `${stem}-${name ?? first ?? (input.original === null ? 'result' : ORIGINAL)}`;
}

/** The output's name in the path, if there is one. Throws NOT_FOUND for a name that no output can have. */
function readOutputName(context: HttpContext): string | undefined {
  const { name } = context['params'];
  const parsed = outputNameSchema.optional().safeParse(name);
  if (parsed.success) return parsed.data;
  throw new DarkroomError('NOT_FOUND', expectedMessage("the name of one of the task's outputs", 'name', name));
}
