import { randomBytes } from 'node:crypto';
import type { Job, StoredOutput } from '../../../../../server-a/dispatch/contract.ts';
import type { Tasks } from '../../../../../server-a/tasks/tasks.ts';
import { beginJob } from '../../../tasks/support.ts';
import { type Fixture, postForm, taskOf } from '../http-fixture.ts';

/** Uploads a picture for a resize and a circle. Resolves with the task's id. */
export async function submitPicture(fixture: Fixture, picture: Buffer, filename = 'cat.jpg'): Promise<string> {
  const parts = [['image', picture, filename] as const, ['circle', '32'] as const, ['scale_factor', '1'] as const];
  return taskOf(await postForm(fixture, parts)).task_id;
}

/** Ends a task like Server B: `bytes` as the resize output, labels, and a circle that failed. */
export async function completeTask({ tasks }: Fixture, id: string, bytes: Buffer): Promise<void> {
  const job = await beginJob(tasks, id);
  const error = { code: 'MODEL_UNAVAILABLE' as const, message: 'Install a model' };
  const labels = [{ index: 281, wnid: 'n02123045', label: 'tabby', probability: 0.76 }];
  const outputs: StoredOutput[] = [
    await storeJpeg(tasks, job, 'resize', bytes),
    { header: { kind: 'failure', name: 'circle', operation: 'circle', error }, sha256: null },
    { header: { kind: 'data', name: 'classify', operation: 'classify', data: { model: 'm', labels } }, sha256: null },
  ];
  if (!(await tasks.records.complete(job, outputs, { decode_ms: 9 }))) throw new Error('the task had ended already');
}

/** The data of the placeholder of {@link completeNamed}. */
export const PLACEHOLDER = {
  thumbhash: '1QcSHQRnh493V4dIh4eXh1h4kJUI',
  dominant_color: '#102030',
  aspect_ratio: 1.3333,
};

/** Ends a task with the placeholder `hash` and the pictures `large` and `small`. Resolves with the bytes of both. */
export async function completeNamed({ tasks }: Fixture, id: string): Promise<{ large: Buffer; small: Buffer }> {
  const job = await beginJob(tasks, id);
  const [large, small] = [randomBytes(300), randomBytes(100)];
  const outputs: StoredOutput[] = [
    { header: { kind: 'data', name: 'hash', operation: 'placeholder', data: PLACEHOLDER }, sha256: null },
    await storeJpeg(tasks, job, 'large', large),
    await storeJpeg(tasks, job, 'small', small),
  ];
  if (!(await tasks.records.complete(job, outputs, {}))) throw new Error('the task had ended already');
  return { large, small };
}

async function storeJpeg({ records }: Tasks, job: Job, name: string, bytes: Buffer): Promise<StoredOutput> {
  const file = await records.createOutput(job, name);
  await file.write(bytes);
  const size = { format: 'jpeg' as const, width: 64, height: 48, frames: 1, bytes: bytes.length };
  return { header: { kind: 'picture', name, operation: 'resize', ...size }, sha256: await file.commit() };
}
