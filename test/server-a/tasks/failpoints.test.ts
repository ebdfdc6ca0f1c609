import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import type { Tasks } from '../../../server-a/tasks/tasks.ts';
import { FAILPOINTS, type FailpointName } from '../../../shared/failpoint.ts';
import { type PictureServer, startPictureServer } from '../../support/picture-server.ts';
import { startProgram } from '../../support/run-program.ts';
import { codeOf, defaultOptions, makePicture, openTasks, spoolFiles, useTemporaryFolder } from './support.ts';

const KILLED = new URL('./fixtures/killed-at.js', import.meta.url).pathname;
/** Number of processes that run at once. */
const AT_ONCE = 4;

describe('a process that is killed between two durable steps', () => {
  const folder = useTemporaryFolder();
  let server: PictureServer;

  before(async () => {
    server = await startPictureServer(await makePicture());
  });
  after(() => server.close());

  /** The ids that a killed process printed: of accepted tasks, and of tasks whose end was written. */
  async function killAt(name: FailpointName, dataDir: string) {
    const words = [KILLED, dataDir, name, `${server.address}/a.png`];
    const { code, stdout, stderr } = await startProgram(process.execPath, words, {
      folder: folder(),
      environment: { PATH: process.env['PATH'] },
    }).ended;
    expect(code, `${name}: ${stderr}`).to.equal('SIGKILL');
    const said = (what: string) => [...stdout.matchAll(new RegExp(`^${what} (.+)$`, 'gm'))].map(([, id = '']) => id);
    return { accepted: said('accepted'), ended: said('ended') };
  }

  /** The files that a task owns according to its record. */
  function ownedFiles(tasks: Tasks, id: string): string[] {
    const { status, input, outputs, attempts } = tasks.get(id);
    const isInput = input.original !== null || (status === 'pending' && input.bytes !== null);
    const pictures = outputs.flatMap(({ name, ...output }) => ('url' in output ? [`${id}.${attempts}.${name}`] : []));
    return [...(isInput ? [`${id}.input`] : []), ...pictures];
  }

  async function expectSafe(name: FailpointName): Promise<void> {
    const dataDir = join(folder(), name);
    const { accepted, ended } = await killAt(name, dataDir);
    const tasks = await openTasks(defaultOptions(dataDir));
    try {
      const files = await spoolFiles(dataDir);
      for (const id of accepted) expect(files, name).to.include.members(ownedFiles(tasks, id));
      for (const id of ended) expect(tasks.get(id).status, name).to.equal('completed');
      for (const file of files) expect(ownedFiles(tasks, file.split('.')[0] ?? ''), name).to.include(file);
      for (const { id } of tasks.records.waiting()) {
        expect(await codeOf(async () => (await tasks.records.begin(id))?.id), name).to.equal('none');
        expect(tasks.get(id).status, name).to.equal('processing');
      }
    } finally {
      await tasks.close();
      await rm(dataDir, { recursive: true });
    }
  }

  it('loses no accepted task and no written end, and leaves no file without an owner', async function () {
    this.timeout(120_000);
    const names = [...FAILPOINTS];
    const work = async () => {
      for (let name = names.shift(); name !== undefined; name = names.shift()) await expectSafe(name);
    };
    await Promise.all(Array.from({ length: AT_ONCE }, work));
  });
});
