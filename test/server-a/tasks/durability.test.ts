import { join } from 'node:path';
import { expect } from 'chai';
import { SYSTEM } from '../../../server-a/system.ts';
import type { Tasks } from '../../../server-a/tasks/tasks.ts';
import { setFailpoints } from '../../../shared/failpoint.ts';
import { startPictureServer } from '../../support/picture-server.ts';
import { RecordingFiles } from '../../support/recording-files.ts';
import { pictureNames, storedNames } from '../../support/stored-pictures.ts';
import {
  beginJob,
  CLASSIFY,
  codeOf,
  defaultOptions,
  forever,
  makeLargePicture,
  makePicture,
  openTasks,
  RESIZE,
  receivePicture,
  silent,
  storeOutput,
  submitPicture,
  type TestDispatcher,
  useTasks,
} from './support.ts';

const id = (count: number) => `${count}`.padStart(21, '0');

describe('the order of durable steps when', () => {
  const { folder, open } = useTasks();
  let files: RecordingFiles;
  let newId: () => string;

  beforeEach(() => {
    let last = 0;
    newId = () => {
      last += 1;
      return id(last);
    };
    files = new RecordingFiles(folder());
    setFailpoints((name) => {
      files.note(name);
      return undefined;
    });
  });
  afterEach(() => setFailpoints(null));

  /** Opens tasks, and records their steps from now on. */
  async function start(): Promise<Tasks<TestDispatcher>> {
    const tasks = await open({}, { files, newId });
    files.take();
    return tasks;
  }

  it('a large upload is answered', async () => {
    await submitPicture(await start(), [RESIZE], makeLargePicture());
    files.note('answered');
    expect(files.take()).to.deep.equal([
      `create spool/${id(1)}.tmp`,
      `write spool/${id(1)}.tmp`,
      'input-written',
      `fsync spool/${id(1)}.tmp`,
      'input-synced',
      `rename spool/${id(1)}.tmp to spool/${id(2)}.input`,
      'input-renamed',
      'fsync spool',
      'input-folder-synced',
      'task-committed',
      'answered',
    ]);
  });

  it('a small upload is answered: its record has it, and no file is written', async () => {
    await submitPicture(await start());
    files.note('answered');
    expect(files.take()).to.deep.equal(['task-committed', 'answered']);
    expect(storedNames(folder())).to.deep.equal([`${id(2)}.input`]);
  });

  it('a step of an upload fails, which leaves no file', async () => {
    const tasks = await start();
    const steps = (temporary: number) => [
      `fsync spool/${id(temporary)}.tmp`,
      `rename spool/${id(temporary)}.tmp to spool/${id(temporary + 1)}.input`,
      'fsync spool',
    ];
    for (const step of [0, 1, 2]) {
      files.failing = steps(1 + Number(newId())).at(step) ?? '';
      expect(await codeOf(submitPicture(tasks, [RESIZE], makeLargePicture())), files.failing).to.equal(
        'EIO: i/o error',
      );
      expect(files.take()).to.include(files.failing).and.not.include('task-committed');
    }
    expect(await pictureNames(folder())).to.deep.equal([]);
    expect(tasks.counts()).to.deep.equal({ pending: 0, processing: 0, spool_bytes: 0 });
  });

  it('a small kept picture is used again', async () => {
    const tasks = await start();
    const kept = await tasks.submit(await receivePicture(tasks), [RESIZE], { keep: true });
    files.take();
    await tasks.submitKept(kept.task_id, [RESIZE]);
    files.note('answered');
    expect(files.take()).to.deep.equal(['task-committed', 'answered']);
    expect(storedNames(folder())).to.deep.equal([`${id(2)}.input`, `${id(3)}.input`]);
  });

  it('a large kept picture is used again', async () => {
    const tasks = await start();
    const large = await receivePicture(tasks, makeLargePicture());
    const kept = await tasks.submit(large, [RESIZE], { keep: true });
    files.take();
    await tasks.submitKept(kept.task_id, [RESIZE]);
    files.note('answered');
    expect(files.take()).to.deep.equal([
      `link spool/${id(2)}.input as spool/${id(3)}.input`,
      'input-linked',
      'fsync spool',
      'input-folder-synced',
      'task-committed',
      'answered',
    ]);
  });

  it('a list of URLs is answered, and a task gets its picture', async () => {
    const server = await startPictureServer(makeLargePicture());
    const tasks = await start();
    const ready = new Promise<void>((resolve) => {
      tasks.dispatcher.target = {
        cancel: () => undefined,
        enqueue: () => {
          files.note('queued');
          resolve();
        },
      };
    });
    await tasks.submitUrls([`${server.address}/a.png`], [CLASSIFY]);
    files.note('answered');
    await ready;
    await server.close();
    expect(files.take()).to.deep.equal([
      'list-committed',
      'answered',
      `create spool/${id(2)}.tmp`,
      `write spool/${id(2)}.tmp`,
      'input-written',
      `fsync spool/${id(2)}.tmp`,
      'input-synced',
      `rename spool/${id(2)}.tmp to spool/${id(1)}.input`,
      'input-renamed',
      'fsync spool',
      'input-folder-synced',
      'picture-committed',
      'queued',
    ]);
  });

  it('a task with large pictures ends', async () => {
    const tasks = await start();
    const { task_id } = await submitPicture(tasks, [RESIZE], makeLargePicture());
    const watching = (async () => {
      for await (const { status } of tasks.watch(task_id, forever)) files.note(`told ${status}`);
    })();
    await new Promise(setImmediate);
    files.take();
    const job = await beginJob(tasks, task_id);
    await new Promise(setImmediate);
    await tasks.records.complete(job, [await storeOutput(tasks, job, makeLargePicture())], {});
    await watching;
    expect(files.take()).to.deep.equal([
      'attempt-committed',
      'told processing',
      `create spool/${id(3)}.tmp`,
      `write spool/${id(3)}.tmp`,
      'output-written',
      `fsync spool/${id(3)}.tmp`,
      'output-synced',
      `rename spool/${id(3)}.tmp to spool/${task_id}.1.resize`,
      'output-renamed',
      'fsync spool',
      'output-folder-synced',
      'end-committed',
      'end-published',
      'told completed',
      `unlink spool/${task_id}.input`,
    ]);
  });

  it('a task with small pictures ends: its record has the output, and no longer the input', async () => {
    const tasks = await start();
    const { task_id } = await submitPicture(tasks);
    files.take();
    const job = await beginJob(tasks, task_id);
    await tasks.records.complete(job, [await storeOutput(tasks, job, Buffer.from('picture'))], {});
    expect(files.take()).to.deep.equal(['attempt-committed', 'end-committed', 'end-published']);
    expect(storedNames(folder())).to.deep.equal([`${task_id}.1.resize`]);
  });

  for (const [what, content, fileSyncs] of [
    ['small pictures', makePicture, 0],
    ['large pictures', makeLargePicture, 4],
  ] as const) {
    it(`a task with ${what} takes 3 commits, and ${fileSyncs} fsyncs beside them`, async () => {
      const tasks = await start();
      const { task_id } = await submitPicture(tasks, [RESIZE], await content());
      const job = await beginJob(tasks, task_id);
      await tasks.records.complete(job, [await storeOutput(tasks, job, await content())], {});
      const calls = files.take();
      // SQLite fsyncs its log once for each commit, and several commits at the same time share one.
      expect(calls.filter((call) => call.endsWith('-committed'))).to.have.length(3);
      expect(calls.filter((call) => call.startsWith('fsync'))).to.have.length(fileSyncs);
    });
  }

  it('a step of an output fails, which leaves no file', async () => {
    const tasks = await start();
    const { task_id } = await submitPicture(tasks);
    const job = await beginJob(tasks, task_id);
    files.failing = 'fsync spool';
    const file = await tasks.records.createOutput(job, 'resize');
    await file.write(makeLargePicture());
    expect(await codeOf(file.commit())).to.equal('EIO: i/o error');
    await tasks.records.release(job, false);
    expect(await pictureNames(folder())).to.deep.equal([`${task_id}.input`]);
  });

  it('a data folder is created and opened', async () => {
    const dataDir = join(folder(), 'new', 'data');
    const tasks = await openTasks(defaultOptions(dataDir), silent, { ...SYSTEM, files });
    files.note('opened');
    await tasks.close();
    const steps = files.take();
    expect(steps.slice(0, steps.indexOf('recovery-committed') + 1)).to.deep.equal([
      'mkdir new/data',
      'folder-made',
      'fsync new',
      'fsync .',
      'mkdir new/data/spool',
      'store-opened',
      'create new/data/store.json.tmp',
      'write new/data/store.json.tmp',
      'fsync new/data/store.json.tmp',
      'rename new/data/store.json.tmp to new/data/store.json',
      'marker-written',
      'fsync new/data',
      'folder-synced',
      'recovery-committed',
    ]);
    expect(steps).to.include('opened');
  });
});
