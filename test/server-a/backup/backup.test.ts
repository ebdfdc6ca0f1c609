import { createWriteStream } from 'node:fs';
import { mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { pipeline } from 'node:stream/promises';
import { expect } from 'chai';
import { create } from 'tar';
import { restore } from '../../../server-a/backup/restore.ts';
import type { Tasks } from '../../../server-a/tasks/tasks.ts';
import { NODE_FILES } from '../../../shared/file-system.ts';
import { losePicture, pictureNames } from '../../support/stored-pictures.ts';
import {
  beginJob,
  codeOf,
  forever,
  makeLargePicture,
  makePicture,
  RESIZE,
  readInput,
  receivePicture,
  storeOutput,
  submitPicture,
  useTasks,
} from '../tasks/support.ts';

describe('backup', () => {
  const { folder, open, pictures } = useTasks();
  const archive = () => join(folder(), 'backup.tar');
  const target = () => join(folder(), 'restored');

  async function save(tasks: Tasks, file = archive()): Promise<void> {
    await pipeline(tasks.backup(forever), createWriteStream(file));
  }

  async function end(tasks: Tasks, id: string): Promise<void> {
    const job = await beginJob(tasks, id);
    await tasks.records.complete(job, [await storeOutput(tasks, job, Buffer.from(`picture of ${id}`))], {});
  }

  /** A waiting task, a running one, one that has ended, and one with a kept picture that another task uses. */
  async function fill(tasks: Tasks) {
    const waiting = (await submitPicture(tasks)).task_id;
    const running = (await submitPicture(tasks)).task_id;
    const ended = (await submitPicture(tasks)).task_id;
    const large = await receivePicture(tasks, makeLargePicture());
    const kept = (await tasks.submit(large, [RESIZE], { keep: true })).task_id;
    const again = (await tasks.submitKept(kept, [RESIZE])).task_id;
    await beginJob(tasks, running);
    await end(tasks, ended);
    return { waiting, running, ended, kept, again };
  }

  it('has every task with its files, which a restore gives to another folder', async () => {
    const tasks = await open();
    const { waiting, running, ended, kept, again } = await fill(tasks);
    await save(tasks);
    const spool = await pictures();
    expect(await restore(archive(), target())).to.include({ files: 2, stored: 3, missing: 0 });
    expect(await pictureNames(target())).to.deep.equal(spool);
    const restored = await open({ dataDir: target() });
    expect(restored.get(ended)).to.deep.equal(tasks.get(ended));
    expect(restored.records.waiting().map(({ id }) => id)).to.deep.equal([waiting, running, kept, again]);
    const job = await beginJob(restored, again);
    expect((await readInput(restored, job)).equals(await readInput(tasks, await beginJob(tasks, again)))).to.equal(
      true,
    );
    expect(await codeOf(restored.result(ended))).to.equal('none');
    expect(await readdir(folder())).to.not.satisfy((names: string[]) => names.some((name) => /^backup-/.test(name)));
  });

  it('restores private files, and a folder that passes every check of a start', async () => {
    const tasks = await open();
    await fill(tasks);
    await save(tasks);
    await restore(archive(), target());
    const paths = ['.', ...(await readdir(target(), { recursive: true }))];
    const modes = await Promise.all(paths.map(async (path) => (await stat(join(target(), path))).mode & 0o077));
    expect(modes.filter((mode) => mode !== 0)).to.deep.equal([]);
    expect(paths)
      .to.include('store.json')
      .and.not.satisfy((all: string[]) => all.some((path) => /^restore-/.test(path)));
    await open({ dataDir: target() });
  });

  it('is whole while tasks begin, end, expire and are forgotten', async () => {
    const tasks = await open();
    const busy = new AbortController();
    const work = async () => {
      while (!busy.signal.aborted) {
        const { task_id } = await submitPicture(tasks);
        await end(tasks, task_id);
        await tasks.forget(task_id);
      }
    };
    const working = [work(), work(), work()];
    for (let round = 0; round < 5; round += 1) await save(tasks, join(folder(), `${round}.tar`));
    busy.abort();
    await Promise.all(working);
    for (let round = 0; round < 5; round += 1) {
      const { missing } = await restore(join(folder(), `${round}.tar`), join(folder(), `${round}`));
      expect(missing).to.equal(0);
    }
    expect(await pictures()).to.deep.equal([]);
  });

  it('has the files of tasks that end and are forgotten between the copy of the store and that of their files', async () => {
    let ending: Promise<void> | undefined;
    const endAll = async () => {
      for (const { id } of tasks.records.waiting()) {
        await end(tasks, id);
        await tasks.forget(id);
      }
    };
    const sizes = new Map<string, number>();
    let removes = () => {};
    const isRemoving = new Promise<void>((resolve) => {
      removes = resolve;
    });
    const system = {
      ...NODE_FILES,
      stat: async (path: string) => {
        const found = await NODE_FILES.stat(path);
        sizes.set(path, (sizes.get(path) ?? 0) + 1);
        // The size of an input is read when its attempt begins, and before it is removed.
        if (path.endsWith('.input') && sizes.get(path) === 2) removes();
        return found;
      },
      link: async (existing: string, path: string) => {
        ending ??= endAll();
        await isRemoving;
        await new Promise(setImmediate);
        await NODE_FILES.link(existing, path);
      },
    };
    const tasks = await open({}, { files: system });
    for (let count = 0; count < 3; count += 1) await submitPicture(tasks, [RESIZE], makeLargePicture());
    await submitPicture(tasks);
    await save(tasks);
    await ending;
    expect(await pictures()).to.deep.equal([]);
    expect(await restore(archive(), target())).to.include({ files: 3, stored: 1, missing: 0 });
  });

  it('counts pictures that were missing before', async () => {
    const tasks = await open();
    for (const bytes of [await makePicture(), makeLargePicture()]) {
      await submitPicture(tasks, [RESIZE], bytes);
      const { task_id } = await submitPicture(tasks, [RESIZE], bytes);
      await losePicture(folder(), `${task_id}.input`);
    }
    await save(tasks);
    expect(await restore(archive(), target())).to.include({ files: 1, stored: 1, missing: 2 });
  });

  it('leaves nothing behind when it is aborted', async () => {
    const tasks = await open();
    await fill(tasks);
    const stopping = new AbortController();
    const archived = tasks.backup(stopping.signal);
    await archived.next();
    expect((await readdir(folder())).filter((name) => name.startsWith('backup-'))).to.have.length(1);
    stopping.abort(new Error('stopped'));
    expect(await codeOf(archived.next())).to.equal('stopped');
    expect((await readdir(folder())).filter((name) => name.startsWith('backup-'))).to.deep.equal([]);
    await tasks.forget((await tasks.cancel((await submitPicture(tasks)).task_id)).task_id);
  });

  it('is removed at the next start when it was cut off', async () => {
    await (await open()).close();
    await mkdir(join(folder(), 'backup-V1StGXR8_Z5jdHi6B-myT', 'spool'), { recursive: true });
    await open();
    expect((await readdir(folder())).filter((name) => name.startsWith('backup-'))).to.deep.equal([]);
  });

  describe('restore', () => {
    let bytes: Buffer;

    beforeEach(async () => {
      const tasks = await open();
      await fill(tasks);
      bytes = await buffer(tasks.backup(forever));
    });

    async function refusal(changed: Buffer): Promise<string> {
      await writeFile(archive(), changed);
      const error: unknown = await restore(archive(), target()).catch((reason: unknown) => reason);
      expect(error).to.include({ code: 'BAD_REQUEST' });
      expect((await readdir(target())).filter((name) => !name.startsWith('lock.'))).to.deep.equal([]);
      return String(error);
    }

    it('refuses an archive that is cut off, wherever', async () => {
      for (const part of [0, 0.001, 0.1, 0.5, 0.9]) {
        expect(await refusal(bytes.subarray(0, Math.floor(bytes.length * part)))).to.contain('a whole backup');
      }
      // The last file with its padding, and the two empty blocks at the end (tar(5)).
      expect(await refusal(bytes.subarray(0, bytes.lastIndexOf('spool/') - 1))).to.contain('a whole backup');
    });

    it('refuses an archive with a damaged picture, and one with a damaged store', async () => {
      for (const text of ['picture of', 'SQLite format 3']) {
        const changed = Buffer.from(bytes);
        const position = changed.indexOf(text);
        changed[position + 20] = ~(changed[position + 20] ?? 0) & 0xff;
        expect(await refusal(changed)).to.contain('is damaged');
      }
    });

    it('refuses another archive, and any other file', async () => {
      const evil = join(folder(), 'evil');
      await mkdir(join(evil, 'spool'), { recursive: true });
      await writeFile(join(evil, 'spool', 'passwd'), '');
      expect(await refusal(await buffer(create({ cwd: evil }, ['spool/passwd'])))).to.contain('spool/passwd');
      expect(await refusal(Buffer.from('no archive at all'.repeat(100)))).to.contain('a whole backup');
    });

    it('refuses a folder that is in use, and one that is not empty, and leaves both as they are', async () => {
      await writeFile(archive(), bytes);
      expect(String(await restore(archive(), folder()).catch(String))).to.contain('in use by process');
      await mkdir(target());
      await writeFile(join(target(), 'mine.txt'), 'mine');
      expect(String(await restore(archive(), target()).catch(String))).to.contain('Expected an empty folder');
      expect(await readdir(target())).to.deep.equal(['mine.txt']);
    });

    it('goes on where the classifier is already, and after a restore that was cut off', async () => {
      await writeFile(archive(), bytes);
      await mkdir(join(target(), 'model'), { recursive: true });
      await mkdir(join(target(), 'restore-V1StGXR8_Z5jdHi6B-myT'));
      await restore(archive(), target());
      expect((await readdir(target())).sort()).to.include.members(['model', 'spool', 'store.db', 'store.json']);
      expect((await readFile(join(target(), 'store.db'))).length).to.be.greaterThan(0);
    });
  });
});
