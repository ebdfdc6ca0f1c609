import { writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { DatabaseSync } from '@photostructure/sqlite';
import { expect } from 'chai';
import { NODE_FILES } from '../../../shared/file-system.ts';
import { startProgram } from '../../support/run-program.ts';
import { losePicture } from '../../support/stored-pictures.ts';
import { beginJob, codeOf, makeLargePicture, RESIZE, storeOutput, submitPicture, useTasks } from './support.ts';

const DYING = new URL('./fixtures/dying-store.js', import.meta.url).pathname;

describe('recovery', () => {
  const { folder, open, pictures } = useTasks();
  const put = (name: string) => writeFile(join(folder(), 'spool', name), 'left over');

  it('removes temporary files, lost outputs and inputs without an owner, and keeps the rest', async () => {
    const tasks = await open();
    const waiting = (await submitPicture(tasks)).task_id;
    const running = (await submitPicture(tasks)).task_id;
    const ended = (await submitPicture(tasks)).task_id;
    await tasks.records.release(await beginJob(tasks, ended), false);
    const job = await beginJob(tasks, ended);
    await tasks.records.complete(job, [await storeOutput(tasks, job, Buffer.from('picture'))], {});
    await storeOutput(tasks, await beginJob(tasks, running), Buffer.from('of a job that is cut off'));
    await tasks.close();
    const left = [
      'upload.tmp',
      `${ended}.1.resize`,
      `${ended}.2.circle`,
      `${ended}.input`,
      'V1StGXR8_Z5jdHi6B-myT.input',
    ];
    for (const name of left) await put(name);
    const again = await open();
    const owned = [`${waiting}.input`, `${running}.input`, `${ended}.2.resize`];
    expect(await pictures()).to.deep.equal(owned.sort());
    expect(again.counts()).to.include({ pending: 2, processing: 0 });
    const inputs = (again.get(waiting).input.bytes ?? 0) + (again.get(running).input.bytes ?? 0);
    expect(again.counts().spool_bytes).to.equal(inputs + 'picture'.length);
  });

  it('does not look at the files that its records name', async () => {
    const tasks = await open();
    await submitPicture(tasks, [RESIZE], makeLargePicture());
    const ended = (await submitPicture(tasks, [RESIZE], makeLargePicture())).task_id;
    const job = await beginJob(tasks, ended);
    await tasks.records.complete(job, [await storeOutput(tasks, job, makeLargePicture())], {});
    const { spool_bytes } = tasks.counts();
    await tasks.close();
    const looks: string[] = [];
    const stat = (path: string) => {
      looks.push(basename(path));
      return NODE_FILES.stat(path);
    };
    const again = await open({}, { files: { ...NODE_FILES, stat } });
    expect([again.counts().spool_bytes, looks]).to.deep.equal([spool_bytes, []]);
  });

  it('keeps and counts the files of a damaged record, and those of the sound ones beside it', async () => {
    const tasks = await open();
    const waiting = (await submitPicture(tasks, [RESIZE], makeLargePicture())).task_id;
    const ended = (await submitPicture(tasks, [RESIZE], makeLargePicture())).task_id;
    const job = await beginJob(tasks, ended);
    await tasks.records.complete(job, [await storeOutput(tasks, job, makeLargePicture())], {});
    const [before, { spool_bytes }] = [await pictures(), tasks.counts()];
    await tasks.close();
    for (const change of [`outputs = '["a"]'`, "outputs = '{'", "header = '{'", 'attempt = -1']) {
      const database = new DatabaseSync(join(folder(), 'store.db'));
      database.exec(`UPDATE tasks SET ${change} WHERE id = '${ended}'`);
      database.close();
      const again = await open();
      expect([await pictures(), again.counts().spool_bytes], change).to.deep.equal([before, spool_bytes]);
      expect(again.get(waiting).status).to.equal('pending');
      await again.close();
    }
  });

  it('opens with records whose files are missing, and reports each when a client asks for it', async () => {
    const tasks = await open();
    const waiting = (await submitPicture(tasks)).task_id;
    const ended = (await submitPicture(tasks)).task_id;
    const job = await beginJob(tasks, ended);
    await tasks.records.complete(job, [await storeOutput(tasks, job, Buffer.from('picture'))], {});
    await tasks.close();
    for (const name of await pictures()) await losePicture(folder(), name);
    const again = await open();
    expect(await again.records.begin(waiting)).to.equal(null);
    expect(again.get(waiting).error?.code).to.equal('SPOOL_CORRUPT');
    expect(await codeOf(again.result(ended))).to.equal('SPOOL_CORRUPT');
  });

  it('keeps the files of a task, even if it is unknown whether its end was written', async () => {
    const { stdout } = await startProgram(
      'sh',
      ['-c', 'ulimit -f 512; exec "$@"', 'sh', process.execPath, DYING, folder()],
      {
        folder: folder(),
        environment: {},
      },
    ).ended;
    const { task_id, told } = JSON.parse(stdout);
    expect(told).to.contain('The thread that writes the store ended');
    expect(await pictures()).to.deep.equal([`${task_id}.1.resize`, `${task_id}.input`]);
    const tasks = await open();
    if (tasks.get(task_id).status === 'completed') expect(await codeOf(tasks.result(task_id))).to.equal('none');
    else expect((await beginJob(tasks, task_id)).attempt).to.equal(2);
  });

  it('counts pending tasks against the queue', async () => {
    const tasks = await open();
    await submitPicture(tasks);
    await beginJob(tasks, (await submitPicture(tasks)).task_id);
    await tasks.close();
    const again = await open({ maxQueued: 2 });
    expect(await codeOf(() => again.checkRoom(1))).to.equal('QUEUE_FULL');
  });
});
