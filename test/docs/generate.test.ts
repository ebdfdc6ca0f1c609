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

/** The pages with a generated table of errors. */
const PAGES = ['docs/http.md', 'docs/grpc.md'];

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

    async function edit(path: string, change: (text: string) => string): Promise<void> {
      await writeFile(join(copy, path), change(await readFile(join(copy, path), 'utf8')));
    }

    it('--check names each stale or missing file, and changes nothing', async () => {
      await writeFile(join(copy, '.env.example'), 'stale');
      await rm(join(copy, 'docs/configuration.md'));
      for (const page of PAGES) await edit(page, removeRow);
      const { code, stderr } = await generate(copy, '--check');
      expect(code).to.equal(1);
      expect(stderr.split('\n')).to.have.members([
        '.env.example is stale: run npm run docs',
        'docs/configuration.md is stale: run npm run docs',
        'docs/http.md is stale: run npm run docs',
        'docs/grpc.md is stale: run npm run docs',
        '',
      ]);
      expect(await readFile(join(copy, '.env.example'), 'utf8')).to.equal('stale');
      for (const page of PAGES)
        expect(await readFile(join(copy, page), 'utf8')).to.equal(
          removeRow(await readFile(repositoryPath(page), 'utf8')),
        );
    });

    it('get a changed row of an error table back, the rest stays, and they are the same in every folder', async () => {
      await writeFile(join(copy, '.env.example'), 'stale');
      for (const page of PAGES) await edit(page, removeRow);
      expect((await generate(copy)).code).to.equal(0);
      for (const path of ['.env.example', ...PAGES]) {
        expect(await readFile(join(copy, path), 'utf8')).to.equal(await readFile(repositoryPath(path), 'utf8'));
      }
    });

    for (const page of PAGES) {
      it(`${page} without the comments around its table is refused`, async () => {
        await edit(page, (text) => text.replace('<!-- end of the generated table -->', ''));
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
  });
});

/** The page without a row of its error table. */
function removeRow(page: string): string {
  const changed = page.replace(/^\|.*`BAD_REQUEST`.*\n/m, '');
  expect(changed).to.not.equal(page);
  return changed;
}

function generate(root: string, ...options: string[]): Promise<Ended> {
  return new Promise((resolve) => {
    execFile(process.execPath, [join(root, 'dist/docs/generate.js'), ...options], (error, _stdout, stderr) => {
      resolve({ code: error === null ? 0 : Number(error.code), stderr });
    });
  });
}
