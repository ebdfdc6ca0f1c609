import { DarkroomError, expectedMessage } from '../../../../shared/errors.ts';
import { outputNameSchema } from '../../../../shared/operations/definition.ts';
import { ORIGINAL } from '../../../../shared/operations/outputs.ts';
import { hasEnded, type Task, taskIdSchema } from '../../../../shared/task.ts';
import type { Tasks } from '../../../tasks/tasks.ts';
import { answerPicture } from '../answer/picture.ts';
import { readWait, waitForEnd } from '../answer/prefer.ts';
import type { HttpContext, HttpRouter } from '../http-context.ts';

/** `/status/<id>` and `/result/<id>[/<name>]`. */
export function routeTasks(router: HttpRouter, tasks: Tasks): void {
  router.get('/status/:id', async (context) => {
    const task = findTask(context, tasks);
    context.body = await waitForEnd(context, tasks, task, readWait(context));
  });

  router.delete('/status/:id', async (context) => {
    const { task_id, status } = findTask(context, tasks);
    if (hasEnded(status)) {
      await tasks.forget(task_id);
      context.status = 204;
    } else {
      context.body = await tasks.cancel(task_id);
    }
  });

  router.get('/result/:id', (context) => answerResult(context, tasks));
  router.get('/result/:id/:name', (context) => answerResult(context, tasks));
}

/** The task of the path's id. Throws TASK_NOT_FOUND, also for what cannot be an id. */
function findTask(context: HttpContext, tasks: Tasks): Task {
  const { id } = context['params'];
  const parsed = taskIdSchema.safeParse(id);
  if (!parsed.success) throw new DarkroomError('TASK_NOT_FOUND', expectedMessage('the id of a known task', 'id', id));
  const task = tasks.get(parsed.data);
  context.state.taskId = task.task_id;
  return task;
}

/** Data as JSON, a picture as its bytes. Throws what `Tasks.result` throws. */
async function answerResult(context: HttpContext, tasks: Tasks): Promise<void> {
  const { task_id, input, outputs } = findTask(context, tasks);
  const name = outputName(context);
  const result = await tasks.result(task_id, name);
  if (result.kind === 'data') {
    context.body = result.output;
    return;
  }
  const shown =
    name ?? outputs.find((output) => output.url !== undefined)?.name ?? (input.original === null ? 'result' : ORIGINAL);
  const stem = (input.filename ?? task_id).replace(/\.[^.]*$/, '');
  await answerPicture(context, result, `${stem}-${shown}`).catch(async (error: unknown) => {
    // When the task has just been forgotten, or has just expired, this throws what is true now.
    if (error instanceof DarkroomError && error.code === 'SPOOL_CORRUPT') await tasks.result(task_id, name);
    throw error;
  });
}

/** The output the path names, if it does. Throws NOT_FOUND for what no output is called. */
function outputName(context: HttpContext): string | undefined {
  const { name } = context['params'];
  const parsed = outputNameSchema.optional().safeParse(name);
  if (parsed.success) return parsed.data;
  throw new DarkroomError('NOT_FOUND', expectedMessage("the name of one of the task's outputs", 'name', name));
}
