import { expect } from 'chai';
import type { TasksOptions } from '../../../server-a/tasks/parts.ts';
import type { Tasks } from '../../../server-a/tasks/tasks.ts';
import { jobCost } from '../../../shared/cost.ts';
import { DarkroomError } from '../../../shared/errors.ts';
import type { OutputSpec } from '../../../shared/operations/index.ts';
import { avif, progressiveJpeg } from '../../support/large-headers.ts';
import { startPictureServer } from '../../support/picture-server.ts';
import {
  CLASSIFY,
  codeOf,
  forever,
  makePicture,
  RESIZE,
  receivePicture,
  submitPicture,
  type TestDispatcher,
  useTasks,
} from './support.ts';

const FULL: OutputSpec = { name: 'resize', operation: 'resize', scale_factor: 1 };
const MEBIBYTE = 1024 * 1024;
const LARGE: Partial<TasksOptions> = { maxPixels: 100_000_000, maxDecodedMb: 400 };
const TOO_LARGE =
  /^Expected a picture that takes at most \d+ bytes to work on \(--memory-mb\), received one that takes \d+$/;

/** Announces a memory of Server B. */
function announce({ dispatcher }: Tasks<TestDispatcher>, memoryBytes: number): void {
  dispatcher.target = { memoryBytes, enqueue: () => undefined, cancel: () => undefined };
}

describe('the memory of a job', () => {
  const { open, pictures } = useTasks();

  for (const [what, picture] of [
    ['an AVIF of 18 megapixels', avif(4900, 3675)],
    ['a progressive JPEG of 56 megapixels', progressiveJpeg(8640, 6480)],
  ] as const) {
    it(`decides before a task has an id: ${what} needs more than 512 MiB`, async () => {
      const tasks = await open({ ...LARGE, memoryMb: 512 });
      const error = await submitPicture(tasks, [FULL, CLASSIFY], picture).catch((reason: unknown) => reason);
      expect(error).to.be.instanceOf(DarkroomError).with.property('code', 'IMAGE_TOO_LARGE');
      expect(error).to.have.property('message').that.matches(TOO_LARGE);
      expect(tasks.counts()).to.deep.equal({ pending: 0, processing: 0, spool_bytes: 0 });
      expect(await pictures()).to.deep.equal([]);
      announce(tasks, 1536 * MEBIBYTE);
      expect((await submitPicture(tasks, [FULL, CLASSIFY], picture)).status).to.equal('pending');
    });
  }

  it('includes the bytes of the picture and of its outputs', async () => {
    const tasks = await open();
    const received = await receivePicture(tasks);
    const cost = jobCost(received.bytes, received.header, [RESIZE]);
    announce(tasks, cost - 1);
    expect(await codeOf(tasks.submit(received, [RESIZE]))).to.equal('IMAGE_TOO_LARGE');
    announce(tasks, cost);
    expect(await codeOf(submitPicture(tasks, [RESIZE]))).to.equal('none');
    const outputs = [RESIZE, { ...RESIZE, name: 'other' }];
    expect(await codeOf(submitPicture(tasks, outputs))).to.equal('IMAGE_TOO_LARGE');
  });

  it('is compared with the own setting until Server B announces its memory', async () => {
    const tasks = await open({ memoryMb: 1 });
    expect(await codeOf(submitPicture(tasks))).to.equal('IMAGE_TOO_LARGE');
    announce(tasks, 64 * MEBIBYTE);
    expect(await codeOf(submitPicture(tasks))).to.equal('none');
    announce(tasks, MEBIBYTE);
    expect(await codeOf(submitPicture(tasks))).to.equal('IMAGE_TOO_LARGE');
  });

  it('is compared for an output of a kept picture, which stays', async () => {
    const tasks = await open({ ...LARGE, memoryMb: 512 });
    const received = await receivePicture(tasks, avif(4000, 3000));
    const { task_id } = await tasks.submit(received, [CLASSIFY], { keep: true });
    const large = { ...RESIZE, scale_factor: 2 };
    expect(await codeOf(tasks.submitKept(task_id, [large]))).to.equal('IMAGE_TOO_LARGE');
    expect(await codeOf(tasks.submitKept(task_id, [RESIZE]))).to.equal('none');
  });

  it('is compared for the picture of a snippet, whose earlier picture stays', async () => {
    const tasks = await open({ ...LARGE, memoryMb: 512 });
    const { task } = await tasks.putSnippet(1, { received: await receivePicture(tasks) });
    const received = await receivePicture(tasks, avif(8000, 6000));
    expect(await codeOf(tasks.putSnippet(1, { received }))).to.equal('IMAGE_TOO_LARGE');
    expect(tasks.getSnippet(1).task).to.deep.equal(task);
  });

  it('fails only that one of several listed URLs', async () => {
    const tasks = await open({ ...LARGE, memoryMb: 512 });
    const large = await startPictureServer(avif(8000, 6000));
    const small = await startPictureServer(await makePicture());
    const listed = await tasks.submitUrls([`${large.address}/a.avif`, `${small.address}/a.png`], [CLASSIFY]);
    const [failed, ready] = listed.map(({ task_id }) => task_id);
    const { status, error } = await tasks.wait(failed ?? '', 10_000, forever);
    expect([status, error?.code]).to.deep.equal(['failed', 'IMAGE_TOO_LARGE']);
    expect(error?.message).to.match(TOO_LARGE);
    for await (const { input } of tasks.watch(ready ?? '', AbortSignal.timeout(180_000))) if (input.bytes) break;
    expect(tasks.get(ready ?? '')).to.include({ status: 'pending' });
    await large.close();
    await small.close();
    expect(await pictures()).to.have.length(1);
  });
});
