import { join } from 'node:path';
import { DatabaseSync } from '@photostructure/sqlite';
import { expect } from 'chai';
import type { Tasks } from '../../../server-a/tasks/tasks.ts';
import { readClassification } from '../../../shared/operations/classify.ts';
import { snippetSchema } from '../../../shared/snippet.ts';
import { beginJob, codeOf, LABELS, makePicture, receivePicture, useTasks } from './support.ts';

const BOXES = [{ X: 1, Y: 2.5, W: 3, H: -4 }];

describe('snippets', () => {
  const { folder, open, pictures } = useTasks();

  async function put(tasks: Tasks, name: number, shade = 0) {
    return tasks.putSnippet(name, { received: await receivePicture(tasks, await makePicture(shade)) });
  }

  async function complete(tasks: Tasks, id: string): Promise<void> {
    await tasks.records.complete(await beginJob(tasks, id), [LABELS], {});
  }

  it('are not found before they are put', async () => {
    const tasks = await open();
    expect(await codeOf(() => tasks.getSnippet(1))).to.equal('NOT_FOUND');
    expect(await codeOf(tasks.putSnippet(1, {}))).to.equal('BAD_REQUEST');
    expect(await codeOf(() => tasks.getSnippet(1))).to.equal('NOT_FOUND');
  });

  it('have boxes, a picture, or both', async () => {
    const tasks = await open();
    const drawn = await tasks.putSnippet(1, { boxes: BOXES });
    expect(drawn).to.deep.include({ name: 1, task: null, boxes: BOXES });
    expect(tasks.getSnippet(1)).to.deep.equal(drawn);
    const pictured = await put(tasks, 1);
    expect(pictured.boxes, 'they were of no picture').to.deep.equal([]);
    expect(snippetSchema.parse(pictured)).to.deep.equal(pictured);
    const id = pictured.task?.task_id ?? '';
    const both = await tasks.putSnippet(1, { boxes: BOXES });
    expect([both.task?.task_id, both.boxes]).to.deep.equal([id, BOXES]);
    expect(tasks.getSnippet(1)).to.deep.equal(both);
    const job = await beginJob(tasks, id);
    expect(job.specs).to.deep.equal([{ name: 'classify', operation: 'classify', top_k: 5 }]);
    await tasks.records.complete(job, [LABELS], {});
    expect(readClassification(tasks.getSnippet(1).task?.outputs[0] ?? {})?.labels[0]?.label).to.equal('tabby');
    expect(await codeOf(() => tasks.getSnippet(2))).to.equal('NOT_FOUND');
    expect((await put(tasks, 2)).boxes).to.deep.equal([]);
  });

  it('have the boxes of their newest picture, even after a restart', async () => {
    const tasks = await open();
    const cat = await tasks.putSnippet(1, { received: await receivePicture(tasks), boxes: BOXES });
    expect(cat.boxes).to.deep.equal(BOXES);
    expect(tasks.getSnippet(1)).to.deep.equal(cat);
    await tasks.close();
    const again = await open();
    expect(again.getSnippet(1)).to.deep.equal(cat);
    await put(again, 1);
    expect(again.getSnippet(1).boxes).to.deep.equal([]);
  });

  it('lose boxes that were stored before their picture or with an older picture', async () => {
    const tasks = await open();
    await tasks.putSnippet(1, { boxes: BOXES });
    const { task } = await tasks.putSnippet(1, { received: await receivePicture(tasks), boxes: BOXES });
    const older = task?.task_id ?? '';
    await complete(tasks, older);
    await tasks.forget(older);
    expect(await codeOf(() => tasks.getSnippet(1))).to.equal('NOT_FOUND');
    await tasks.putSnippet(1, { received: await receivePicture(tasks), boxes: BOXES });
    await put(tasks, 1);
    await tasks.close();
    const database = new DatabaseSync(join(folder(), 'store.db'));
    const rows = database.prepare('SELECT boxes FROM tasks ORDER BY sequence').all();
    database.close();
    expect(rows.map((row) => Object(row)['boxes'])).to.deep.equal([null, '[]']);
  });

  it('answer each of many simultaneous changes with itself, and keep one of them completely', async () => {
    const tasks = await open();
    const shades = Array.from({ length: 24 }, (_, shade) => shade);
    const puts = await Promise.all(
      shades.map(async (shade) => {
        const received = await receivePicture(tasks, await makePicture(shade));
        const boxes = [{ X: shade, Y: 0, W: 1, H: 1 }];
        return { sha256: received.sha256, boxes, snippet: await tasks.putSnippet(1, { received, boxes }) };
      }),
    );
    for (const { sha256, boxes, snippet } of puts) {
      expect([snippet.task?.input.sha256, snippet.boxes]).to.deep.equal([sha256, boxes]);
    }
    expect(new Set(puts.map(({ snippet }) => snippet.task?.task_id)).size).to.equal(24);
    const { task, boxes } = tasks.getSnippet(1);
    expect(puts.find(({ snippet }) => snippet.task?.task_id === task?.task_id)?.boxes).to.deep.equal(boxes);
  });

  it('keep only their newest picture, even after a restart', async () => {
    const tasks = await open();
    const first = (await put(tasks, 1, 1)).task?.task_id ?? '';
    await complete(tasks, first);
    const other = (await put(tasks, 2, 2)).task?.task_id ?? '';
    const second = (await put(tasks, 1, 3)).task?.task_id ?? '';
    expect(await pictures()).to.deep.equal([`${other}.input`, `${second}.input`].sort());
    expect(await codeOf(tasks.result(first, 'original'))).to.equal('EXPIRED');
    const third = (await put(tasks, 1, 4)).task?.task_id ?? '';
    expect(await pictures(), 'the second still needs its picture').to.include(`${second}.input`);
    await complete(tasks, second);
    await complete(tasks, third);
    await tasks.close();
    const again = await open();
    expect(again.getSnippet(1).task?.task_id).to.equal(third);
    expect(await codeOf(again.result(third, 'original'))).to.equal('none');
    expect(await pictures()).to.deep.equal([`${other}.input`, `${third}.input`].sort());
  });

  it('keep the newest of simultaneous pictures', async () => {
    const tasks = await open();
    const puts = await Promise.all([1, 2, 3, 4, 5].map((shade) => put(tasks, 1, shade)));
    for (const { id } of tasks.records.waiting()) await complete(tasks, id);
    const newest = tasks.getSnippet(1).task?.task_id;
    expect(puts.map(({ task }) => task?.task_id)).to.include(newest);
    expect(await pictures()).to.deep.equal([`${newest}.input`]);
  });

  it('remove replaced pictures after a crash', async () => {
    const tasks = await open();
    const first = (await put(tasks, 1, 1)).task?.task_id ?? '';
    await complete(tasks, first);
    const second = (await put(tasks, 2, 2)).task?.task_id ?? '';
    await complete(tasks, second);
    await tasks.close();
    const database = new DatabaseSync(join(folder(), 'store.db'));
    database.exec('UPDATE tasks SET snippet = 1');
    database.close();
    const again = await open();
    expect(again.getSnippet(1).task?.task_id).to.equal(second);
    expect(await pictures()).to.deep.equal([`${second}.input`]);
    expect(again.get(first).status).to.equal('completed');
  });

  it('keep boxes without a picture for a week, and boxes with a picture as long as the picture', async () => {
    const tasks = await open();
    await put(tasks, 2);
    for (const name of [1, 2, 3]) await tasks.putSnippet(name, { boxes: BOXES });
    await tasks.close();
    const database = new DatabaseSync(join(folder(), 'store.db'));
    const weekAgo = Date.now() - 7 * 24 * 60 * 60 * 1000;
    database.exec(`UPDATE snippets SET updated_at = ${weekAgo} + 60000 WHERE name = 1`);
    database.exec(`UPDATE snippets SET updated_at = ${weekAgo} WHERE name > 1`);
    database.close();
    const again = await open();
    expect(again.getSnippet(1).boxes).to.deep.equal(BOXES);
    expect(again.getSnippet(2).boxes).to.deep.equal(BOXES);
    expect(await codeOf(() => again.getSnippet(3))).to.equal('NOT_FOUND');
  });

  it('keep their picture without a time limit, until its task is forgotten', async () => {
    const tasks = await open();
    const id = (await put(tasks, 1)).task?.task_id ?? '';
    await complete(tasks, id);
    await tasks.close();
    const database = new DatabaseSync(join(folder(), 'store.db'));
    database.exec('UPDATE tasks SET expires_at = 1');
    database.close();
    const again = await open();
    expect(again.getSnippet(1).task?.task_id).to.equal(id);
    expect(await codeOf(again.result(id, 'original'))).to.equal('none');
    await again.forget(id);
    expect(await codeOf(() => again.getSnippet(1))).to.equal('NOT_FOUND');
    expect(await pictures()).to.deep.equal([]);
  });
});
