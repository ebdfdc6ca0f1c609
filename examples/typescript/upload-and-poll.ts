// Uploads a picture, polls until its task has ended, and saves it at half its size:
// node upload-and-poll.js cat.jpg small.jpg
import { openAsBlob } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { basename } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';

const taskSchema = z.object({ task_id: z.string(), status: z.string(), result: z.string().nullable() });
const { DARKROOM_SERVER = 'http://127.0.0.1:5454' } = process.env;
const [picture = 'cat.jpg', target = 'small.jpg'] = process.argv.slice(2);

async function call(path: string, init: RequestInit = {}): Promise<Response> {
  const response = await fetch(DARKROOM_SERVER + path, init);
  if (!response.ok) throw new Error(`${response.status}: ${await response.text()}`);
  return response;
}

const form = new FormData();
form.append('image', await openAsBlob(picture), basename(picture));
form.append('scale_factor', '0.5');
let task = taskSchema.parse(await (await call('/upload', { method: 'POST', body: form })).json());
while (task.status === 'pending' || task.status === 'processing') {
  await sleep(200);
  task = taskSchema.parse(await (await call(`/status/${task.task_id}`)).json());
}
console.log(task.task_id, task.status, task.result);
if (task.result === null) process.exitCode = 1;
else await writeFile(target, Buffer.from(await (await call(task.result)).arrayBuffer()));
