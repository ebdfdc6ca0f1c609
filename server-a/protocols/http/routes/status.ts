import { DarkroomError, expectedMessage } from '../../../../shared/errors.ts';
import { hasEnded, type Task, taskIdSchema } from '../../../../shared/task.ts';
import type { Tasks } from '../../../tasks/tasks.ts';
import { readWait, waitForEnd } from '../answer/prefer.ts';
import type { HttpContext, HttpRouter } from '../http-context.ts';

/** `GET /status/<id>`: the task's record. `DELETE /status/<id>`: cancels the task, or forgets one that has ended. */
export function routeStatus(router: HttpRouter, tasks: Tasks): void {
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
}

/** The task whose id the path has. Throws TASK_NOT_FOUND, also for an id that no task can have. */
export function findTask(context: HttpContext, tasks: Tasks): Task {
  const { id } = context['params'];
  const parsed = taskIdSchema.safeParse(id);
  if (!parsed.success) throw new DarkroomError('TASK_NOT_FOUND', expectedMessage('the id of a known task', 'id', id));
  const task = tasks.get(parsed.data);
  context.state.taskId = task.task_id;
  return task;
}
