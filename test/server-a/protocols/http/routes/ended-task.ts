import type { OperationName } from '../../../../../shared/operations/index.ts';
import type { OutputHeader } from '../../../../../shared/task.ts';
import { type Fixture, postForm, taskOf } from '../http-fixture.ts';

/** Uploads a picture for a resize and a circle; gives the task's id. */
export async function submitPicture(fixture: Fixture, picture: Buffer, filename = 'cat.jpg'): Promise<string> {
  const parts = [['image', picture, filename] as const, ['circle', '32'] as const, ['scale_factor', '1'] as const];
  return taskOf(await postForm(fixture, parts)).task_id;
}

/** Ends a task as Server B might: `bytes` as resize output, labels, and a circle that failed. */
export async function completeTask({ tasks: { records } }: Fixture, id: string, bytes: Buffer): Promise<void> {
  const job = await records.begin(id);
  if (job === null) throw new Error('not pending');
  const base = <Name extends OperationName>(name: Name) => ({ name, operation: name });
  const size = { format: 'jpeg' as const, width: 64, height: 48, frames: 1, bytes: bytes.length };
  const resize: OutputHeader = { kind: 'picture', ...base('resize'), ...size };
  const file = await records.createOutput(job, 'resize');
  await file.write(bytes);
  const sha256 = await file.commit();
  const error = { code: 'MODEL_UNAVAILABLE' as const, message: 'Install a model' };
  const labels = [{ index: 281, wnid: 'n02123045', label: 'tabby', probability: 0.76 }];
  const outputs = [
    { header: resize, sha256 },
    { header: { kind: 'failure' as const, ...base('circle'), error }, sha256: null },
    { header: { kind: 'data' as const, ...base('classify'), data: { model: 'm', labels } }, sha256: null },
  ];
  if (!(await records.complete(job, outputs, { decode_ms: 9 }))) throw new Error('the task had ended already');
}
