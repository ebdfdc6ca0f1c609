import { execFile } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect } from 'chai';
import { runDarkroom } from '../support/command-line.ts';
import { repositoryPath } from '../support/repository.ts';
import { requireTool } from '../support/required-tool.ts';

const run = promisify(execFile);
const UNITS = readdirSync(repositoryPath('deploy/systemd'));
const EXEC_START =
  /^ExecStart=\/usr\/bin\/node (?:--single-threaded-gc --max-semi-space-size=2 )?\/opt\/darkroom\/dist\/bin\/darkroom\.js (.+)$/m;

describe('systemd units', function () {
  this.timeout(180_000);
  let folder: string;

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'darkroom-units-'));
    // `verify` needs programs that exist, so the paths of Node and Darkroom here replace the installed ones.
    for (const unit of UNITS) {
      const text = await readFile(repositoryPath(`deploy/systemd/${unit}`), 'utf8');
      const here = text
        .replaceAll('/usr/bin/node', process.execPath)
        .replaceAll('/opt/darkroom', repositoryPath('.').replace(/\/$/, ''));
      await writeFile(join(folder, unit), here);
    }
  });

  after(() => rm(folder, { recursive: true, force: true }));

  it('exist for both tiers, for each tier, and for the camera', () => {
    expect(UNITS).to.have.members([
      'darkroom.service',
      'darkroom-server-a.service',
      'darkroom-server-b.service',
      'darkroom-camera.service',
    ]);
  });

  for (const unit of UNITS) {
    describe(unit, () => {
      it('passes systemd-analyze verify', async function () {
        requireTool(this, ['systemd-analyze', '--version'], 'DARKROOM_REQUIRE_SYSTEMD');
        const { stdout, stderr } = await run('systemd-analyze', ['verify', '--man=no', join(folder, unit)]);
        expect([stdout, stderr]).to.deep.equal(['', '']);
      });

      it('has an exposure of at most 2.5 by systemd-analyze security', async function () {
        requireTool(this, ['systemd-analyze', '--version'], 'DARKROOM_REQUIRE_SYSTEMD');
        const { stdout } = await run('systemd-analyze', [
          'security',
          '--offline=true',
          '--no-pager',
          join(folder, unit),
        ]);
        const level = /Overall exposure level for \S+: ([\d.]+)/.exec(stdout)?.[1];
        expect(Number(level)).to.be.at.most(2.5);
      });

      it('restarts without a limit', async () => {
        const text = await readFile(repositoryPath(`deploy/systemd/${unit}`), 'utf8');
        expect(text)
          .to.match(/^Restart=always$/m)
          .and.to.match(/^StartLimitIntervalSec=0$/m);
      });

      it('starts an existing command with existing flags', async () => {
        const words = EXEC_START.exec(await readFile(repositoryPath(`deploy/systemd/${unit}`), 'utf8'))?.[1]?.split(
          ' ',
        );
        const { code, stdout } = await runDarkroom([...(words ?? ['none']), '-h']);
        expect(code).to.equal(0);
        expect(stdout).to.include(`Usage: darkroom ${words?.[0]} `);
      });
    });
  }
});
