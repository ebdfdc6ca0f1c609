import { execFileSync } from 'node:child_process';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import type { Tasks } from '../../../server-a/tasks/tasks.ts';
import { FAILPOINTS, type FailpointName, setFailpoints } from '../../../shared/failpoint.ts';
import { type PictureServer, startPictureServer } from '../../support/picture-server.ts';
import { startProgram } from '../../support/run-program.ts';
import { pictureNames } from '../../support/stored-pictures.ts';
import { takeEveryStep } from './fixtures/every-step.ts';
import { codeOf, defaultOptions, makePicture, openTasks, useTemporaryFolder } from './support.ts';

const KILLED = new URL('./fixtures/killed-at.js', import.meta.url).pathname;
/** Failpoints at which a process is killed: at the start, while a task is accepted, and at its end. */
const KILLED_AT: readonly FailpointName[] = ['store-opened', 'input-linked', 'end-committed'];

/** What a process leaves when it is killed: its data folder, and the ids that it told until then. */
interface Remains {
  readonly dataDir: string;
  readonly accepted: readonly string[];
  readonly ended: readonly string[];
}

describe('a process that is killed between two durable steps', function () {
  this.timeout(120_000);
  const folder = useTemporaryFolder();
  let server: PictureServer;

  before(async () => {
    server = await startPictureServer(await makePicture());
  });
  after(() => server.close());

  /**
   * What a kill would leave at each failpoint. The files are those of the moment, because a kill changes none, and no
   * step runs while they are copied.
   */
  async function copyAtEach(): Promise<Map<FailpointName, Remains>> {
    const copies = new Map<FailpointName, Remains>();
    const dataDir = join(folder(), 'copied');
    const told: Record<'accepted' | 'ended', string[]> = { accepted: [], ended: [] };
    setFailpoints((name) => {
      if (copies.has(name)) return undefined;
      const copy = join(folder(), name);
      execFileSync('cp', ['-a', dataDir, copy]);
      copies.set(name, { dataDir: copy, accepted: [...told.accepted], ended: [...told.ended] });
      return undefined;
    });
    try {
      await takeEveryStep(dataDir, `${server.address}/a.png`, (what, id) => told[what].push(id));
    } finally {
      setFailpoints(null);
    }
    return copies;
  }

  async function killAt(name: FailpointName): Promise<Remains> {
    const dataDir = join(folder(), `killed-${name}`);
    const words = [KILLED, dataDir, name, `${server.address}/a.png`];
    const { code, stdout, stderr } = await startProgram(process.execPath, words, {
      folder: folder(),
      environment: { PATH: process.env['PATH'] },
    }).ended;
    expect(code, `${name}: ${stderr}`).to.equal('SIGKILL');
    const said = (what: string) => [...stdout.matchAll(new RegExp(`^${what} (.+)$`, 'gm'))].map(([, id = '']) => id);
    return { dataDir, accepted: said('accepted'), ended: said('ended') };
  }

  /** The files that a task owns according to its record. */
  function ownedFiles(tasks: Tasks, id: string): string[] {
    const { status, input, outputs, attempts } = tasks.get(id);
    const isInput = input.original !== null || (status === 'pending' && input.bytes !== null);
    const pictures = outputs.flatMap(({ name, ...output }) => ('url' in output ? [`${id}.${attempts}.${name}`] : []));
    return [...(isInput ? [`${id}.input`] : []), ...pictures];
  }

  async function expectSafe(name: FailpointName, { dataDir, accepted, ended }: Remains): Promise<void> {
    const tasks = await openTasks(defaultOptions(dataDir));
    try {
      const files = await pictureNames(dataDir);
      for (const id of accepted) expect(files, name).to.include.members(ownedFiles(tasks, id));
      for (const id of ended) expect(tasks.get(id).status, name).to.equal('completed');
      for (const file of files) expect(ownedFiles(tasks, file.split('.')[0] ?? ''), name).to.include(file);
      for (const { id } of tasks.records.waiting()) {
        expect(await codeOf(async () => (await tasks.records.begin(id))?.id), name).to.equal('none');
        expect(tasks.get(id).status, name).to.equal('processing');
      }
    } finally {
      await tasks.close();
    }
  }

  /** The names of all files, and how many ids were told, without the random parts. */
  async function shapeOf({ dataDir, accepted, ended }: Remains): Promise<unknown> {
    const names = (await readdir(dataDir, { recursive: true })).map((name) => name.replace(/[\w-]{21}/g, 'id'));
    return { names: names.sort(), accepted: accepted.length, ended: ended.length };
  }

  it('loses no accepted task and no written end, and leaves no file without an owner', async () => {
    const copies = await copyAtEach();
    expect([...copies.keys()]).to.have.members(FAILPOINTS);
    for (const name of KILLED_AT) {
      const killed = await killAt(name);
      const copied = copies.get(name);
      expect(copied === undefined ? null : await shapeOf(copied), name).to.deep.equal(await shapeOf(killed));
      await expectSafe(name, killed);
    }
    for (const [name, remains] of copies) await expectSafe(name, remains);
  });
});
