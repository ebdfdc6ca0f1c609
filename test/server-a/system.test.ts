import { expect } from 'chai';
import type { Tasks } from '../../server-a/tasks/tasks.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { startPictureServer } from '../support/picture-server.ts';
import { eventually } from '../support/processes.ts';
import {
  beginJob,
  CLASSIFY,
  codeOf,
  forever,
  makeLargePicture,
  makePicture,
  RESIZE,
  receivePicture,
  storeOutput,
  submitPicture,
  useTasks,
} from './tasks/support.ts';

const HOUR = 60 * 60 * 1000;

describe('tasks use their System for', () => {
  const { open, pictures } = useTasks();
  let clock: ManualClock;

  beforeEach(() => {
    clock = new ManualClock();
  });

  async function complete(tasks: Tasks): Promise<string> {
    const { task_id } = await submitPicture(tasks);
    const job = await beginJob(tasks, task_id);
    clock.advance(1000);
    await tasks.records.complete(job, [await storeOutput(tasks, job, Buffer.from('picture'))], {});
    return task_id;
  }

  it('the times of a record', async () => {
    const tasks = await open({ keepHours: 2 }, { clock });
    const start = clock.now();
    const iso = (time: number) => new Date(time).toISOString();
    expect(tasks.get(await complete(tasks))).to.include({
      created_at: iso(start),
      started_at: iso(start),
      finished_at: iso(start + 1000),
      expires_at: iso(start + 1000 + 2 * HOUR),
    });
    const [listed] = await tasks.submitUrls(['http://127.0.0.1:9/'], [CLASSIFY]);
    expect(listed?.created_at).to.equal(iso(start + 1000));
    const { updated_at } = await tasks.putSnippet(1, { boxes: [] });
    expect(updated_at).to.equal(iso(start + 1000));
  });

  it('the time at which a result and a kept picture expire', async () => {
    const tasks = await open({ keepHours: 2, keepImageHours: 3 }, { clock });
    const ended = await complete(tasks);
    clock.advance(2 * HOUR - 1);
    expect(await codeOf(tasks.result(ended))).to.equal('none');
    clock.advance(1);
    expect(await codeOf(tasks.result(ended))).to.equal('EXPIRED');
    const kept = await tasks.submit(await receivePicture(tasks), [RESIZE], { keep: true });
    await tasks.cancel(kept.task_id);
    clock.advance(3 * HOUR);
    await eventually('the files to go', async () => ((await pictures()).length === 0 ? true : undefined));
    expect(await codeOf(tasks.result(kept.task_id, 'original'))).to.equal('EXPIRED');
  });

  it('the time that a client waits for a task', async () => {
    const tasks = await open({}, { clock });
    const { task_id } = await submitPicture(tasks);
    const waiting = tasks.wait(task_id, 5000, forever);
    expect(clock.has(5000)).to.equal(true);
    clock.advance(5000);
    expect((await waiting).status).to.equal('pending');
    expect(clock.has(5000)).to.equal(false);
    const ended = tasks.wait(task_id, 5000, forever);
    await tasks.cancel(task_id);
    await ended;
    expect(clock.has(5000)).to.equal(false);
  });

  it('the pause before a fetch is tried again on a full disk', async () => {
    const picture = await makePicture();
    const server = await startPictureServer(picture);
    const tasks = await open({ maxSpoolMb: 1 }, { clock });
    const kept = await submitPicture(tasks);
    await tasks.submitUrls([`${server.address}/a.png`], [CLASSIFY]);
    expect(clock.has(1000)).to.equal(true);
    clock.advance(1000);
    expect([clock.has(1000), server.asked]).to.deep.equal([true, []]);
    await tasks.cancel(kept.task_id);
    clock.advance(1000);
    await eventually('the fetch', () => (tasks.records.waiting().length === 1 ? true : undefined));
    await server.close();
  });

  it('the ids of tasks and the names of temporary files', async () => {
    const id = (count: number) => `${count}`.padStart(21, '0');
    let last = 0;
    const newId = () => {
      last += 1;
      return id(last);
    };
    const tasks = await open({}, { newId });
    const received = await receivePicture(tasks, makeLargePicture());
    expect(await pictures()).to.deep.equal([`${id(1)}.tmp`]);
    expect((await tasks.submit(received, [RESIZE])).task_id).to.equal(id(2));
    const [listed] = await tasks.submitUrls(['http://127.0.0.1:9/'], [CLASSIFY]);
    expect(listed?.task_id).to.equal(id(3));
  });
});
