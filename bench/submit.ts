import { readFile } from 'node:fs/promises';
import { request } from 'undici';
import { z } from 'zod';
import { hasEnded, TASK_STATUSES } from '../shared/task.ts';
import { acceptedUpload } from './subjects/darkroom.ts';
import type { Task } from './work.ts';

const taskSchema = z.object({ task_id: z.string(), status: z.enum(TASK_STATUSES) });

/** Uploads a task's picture to a Darkroom. Resolves with the task's id as soon as it is accepted. */
export async function submit(origin: string, task: Task): Promise<string> {
  const { path, method, headers } = acceptedUpload(task);
  const answer = await request(`${origin}${path}`, { method, headers, body: await readFile(task.picture) });
  const text = await answer.body.text();
  if (answer.statusCode !== 202) throw new Error(`Expected 202, received ${answer.statusCode} ${text}`);
  return taskSchema.parse(JSON.parse(text)).task_id;
}

/** Resolves when the task has completed, however long that takes. Throws when it ends in another way. */
export async function completed(origin: string, id: string): Promise<void> {
  for (;;) {
    const answer = await request(`${origin}/status/${id}?wait=60`);
    const text = await answer.body.text();
    const { status } = taskSchema.parse(JSON.parse(text));
    if (status === 'completed') return;
    if (hasEnded(status)) throw new Error(`Expected a completed task, received ${text}`);
  }
}
