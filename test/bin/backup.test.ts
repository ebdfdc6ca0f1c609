import { access, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { makePicture } from '../server-a/tasks/support.ts';
import { runCommand } from '../support/command-in-process.ts';
import { runDarkroom } from '../support/command-line.ts';
import { Service, temporaryFolder } from '../support/service.ts';

/** A Server B that does not exist: what is tested after a restore needs none. */
const WITHOUT_SERVER_B = ['--server-b', '127.0.0.1:1'];

describe('darkroom backup and restore', function () {
  this.timeout(180_000);
  let folder: string;
  let service: Service;

  before(async () => {
    folder = await temporaryFolder();
    service = await Service.start({ dataDir: join(folder, 'data') });
  });
  after(async () => {
    await service.stop();
    await rm(folder, { recursive: true });
  });

  const run = (...words: string[]) => runCommand(words, { folder });

  it('carries tasks and results from a running service to another data folder', async () => {
    const id = await service.submit(await makePicture(), { scale_factor: '0.5', classify: 'false' });
    await service.end(id);
    const result = (await service.get(`/result/${id}`)).body;
    await writeFile(join(folder, 'backup.tar'), 'an older backup');
    const saved = await runDarkroom(['backup', 'backup.tar', '--data-dir', 'data'], { folder });
    expect(saved).to.include({ code: 0, stderr: '' });
    expect(saved.stdout).to.match(/^Backup {2}backup\.tar {2}\d+ bytes, 1 pictures\n$/);
    expect((await stat(join(folder, 'backup.tar'))).mode & 0o777).to.equal(0o600);
    const restored = await run('restore', 'backup.tar', '--data-dir', 'restored');
    expect(restored).to.include({ code: 0, stderr: '' });
    const other = await Service.start({
      command: 'server-a',
      dataDir: join(folder, 'restored'),
      flags: WITHOUT_SERVER_B,
    });
    expect((await other.get(`/result/${id}`)).body.equals(result)).to.equal(true);
    await other.stop();
  });

  it('is not served over HTTP', async () => {
    for (const path of ['/backup', '/control', '/control.sock']) expect((await service.get(path)).status).to.equal(404);
  });

  it('tells in one line that no service runs, and leaves no file', async () => {
    const { code, stderr } = await run('backup', 'none.tar', '--data-dir', 'nowhere');
    expect(code).to.equal(1);
    expect(stderr).to.match(/^darkroom: No Darkroom runs on the data folder nowhere\.\n$/);
    expect((await readdir(folder)).filter((name) => name.includes('none.tar'))).to.deep.equal([]);
  });

  it('tells in one line that a folder is in use or not empty', async () => {
    await writeFile(join(folder, 'any.tar'), '');
    for (const [dataDir, reason] of [
      ['data', 'in use by process'],
      ['.', 'Expected an empty folder'],
    ] as const) {
      const { code, stderr } = await run('restore', 'any.tar', '--data-dir', dataDir);
      expect([code, stderr.split('\n').length]).to.deep.equal([1, 2]);
      expect(stderr).to.contain(reason);
    }
  });

  it('refuses to serve from a folder that lost its store, in one line, until --new-store', async () => {
    const dataDir = join(folder, 'lost');
    await run('restore', 'backup.tar', '--data-dir', dataDir);
    await rm(join(dataDir, 'store.db'));
    const words = ['serve', '-p', '0', '--data-dir', dataDir, '--no-model-fetch', ...WITHOUT_SERVER_B];
    const { code, stdout, stderr } = await runDarkroom(words, { folder });
    expect([code, stdout]).to.deep.equal([1, '']);
    expect(stderr).to.match(/^darkroom: [^\n]*store\.db is missing[^\n]*--new-store[^\n]*\n$/);
    const flags = [...WITHOUT_SERVER_B, '--new-store'];
    const again = await Service.start({ command: 'server-a', dataDir, flags });
    expect((await again.ready(503))['store']).to.equal('open');
    await access(join(dataDir, 'lost+found'));
    await again.stop();
  });
});
