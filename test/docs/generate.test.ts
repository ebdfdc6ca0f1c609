import { execFile } from 'node:child_process';
import { cp, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { ERROR_CODES } from '../../shared/errors.ts';
import { repositoryPath } from '../support/repository.ts';

/** The result of `node dist/docs/generate.js`. */
interface Ended {
  readonly code: number;
  readonly stderr: string;
}

describe('generated docs', () => {
  it('are up to date in the repository', async () => {
    expect(await generate(repositoryPath('.'), '--check')).to.deep.equal({ code: 0, stderr: '' });
  });

  describe('in a copy', () => {
    let copy: string;

    before(async () => {
      copy = await mkdtemp(join(tmpdir(), 'darkroom-docs-'));
      for (const folder of ['dist/docs', 'dist/bin', 'dist/server-a', 'dist/server-b', 'dist/shared']) {
        await cp(repositoryPath(folder), join(copy, folder), { recursive: true });
      }
      await cp(repositoryPath('package.json'), join(copy, 'package.json'));
      await symlink(repositoryPath('node_modules'), join(copy, 'node_modules'));
    });

    beforeEach(async () => {
      await rm(join(copy, 'docs'), { recursive: true, force: true });
      for (const path of ['docs', '.env.example']) {
        await cp(repositoryPath(path), join(copy, path), { recursive: true });
      }
    });

    after(() => rm(copy, { recursive: true, force: true }));

    it('--check names each stale or missing file, and changes nothing', async () => {
      await writeFile(join(copy, '.env.example'), 'stale');
      await rm(join(copy, 'docs/configuration.md'));
      const { code, stderr } = await generate(copy, '--check');
      expect(code).to.equal(1);
      expect(stderr.split('\n')).to.deep.equal([
        '.env.example is stale: run npm run docs',
        'docs/configuration.md is stale: run npm run docs',
        '',
      ]);
      expect(await readFile(join(copy, '.env.example'), 'utf8')).to.equal('stale');
    });

    for (const page of ['docs/http.md', 'docs/grpc.md']) {
      it(`${page} gets a changed row of its error table back, and the rest stays unchanged`, async () => {
        const written = await readFile(join(copy, page), 'utf8');
        await writeFile(join(copy, page), written.replace(/^\|.*`BAD_REQUEST`.*\n/m, ''));
        expect(await generate(copy, '--check')).to.deep.equal({
          code: 1,
          stderr: `${page} is stale: run npm run docs\n`,
        });
        expect((await generate(copy)).code).to.equal(0);
        expect(await readFile(join(copy, page), 'utf8')).to.equal(written);
      });

      it(`${page} without the comments around its table is refused`, async () => {
        const written = await readFile(join(copy, page), 'utf8');
        await writeFile(join(copy, page), written.replace('<!-- end of the generated table -->', ''));
        const { code, stderr } = await generate(copy);
        expect(code).to.equal(1);
        expect(stderr).to.include(`'<!-- end of the generated table -->' in ${page}`);
      });
    }

    it('each code has one row in the HTTP table, and is in the gRPC table', async () => {
      const rows = (await readFile(join(copy, 'docs/http.md'), 'utf8')).match(/^\| \d{3} +\| `[A-Z_]+`/gm) ?? [];
      expect(rows.map((row) => /`(.*)`/.exec(row)?.[1])).to.include.members(ERROR_CODES);
      const grpc = await readFile(join(copy, 'docs/grpc.md'), 'utf8');
      for (const code of ERROR_CODES) expect(grpc).to.include(`\`${code}\``);
    });

    it('are the same in every folder', async () => {
      await writeFile(join(copy, '.env.example'), 'stale');
      expect((await generate(copy)).code).to.equal(0);
      expect(await readFile(join(copy, '.env.example'), 'utf8')).to.equal(
        await readFile(repositoryPath('.env.example'), 'utf8'),
      );
    });
  });
});

function generate(root: string, ...options: string[]): Promise<Ended> {
  return new Promise((resolve) => {
    execFile(process.execPath, [join(root, 'dist/docs/generate.js'), ...options], (error, _stdout, stderr) => {
      resolve({ code: error === null ? 0 : Number(error.code), stderr });
    });
  });
}
