import { execFileSync } from 'node:child_process';
import {
  link,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  readlink,
  rename,
  rm,
  stat,
  symlink,
  writeFile,
} from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import fc from 'fast-check';
import { openBelow, writeBelow } from '../../../server-a/rooted-path/path.ts';
import { DarkroomError } from '../../../shared/errors.ts';
import { expectCode } from '../../support/expect-code.ts';
import { RecordingFiles } from '../../support/recording-files.ts';

/** The result of openBelow: the content, `no-file`, or null for a missing file. */
async function read(root: string | undefined, path: string): Promise<string | null> {
  const opened = await openBelow(root, path);
  if (opened === null || opened === 'no-file') return opened;
  try {
    return await opened.handle.readFile('utf8');
  } finally {
    await opened.handle.close();
  }
}

async function openFiles(): Promise<string[]> {
  const names = await readdir('/proc/self/fd');
  const targets = await Promise.all(names.map((name) => readlink(`/proc/self/fd/${name}`).catch(() => '')));
  return targets.filter((target) => target.includes('darkroom-path-'));
}

describe('paths below a root', () => {
  let folder: string;
  let root: string;
  let outside: string;

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'darkroom-path-'));
    root = join(folder, 'root');
    outside = join(folder, 'outside');
    await mkdir(join(root, 'album', 'old'), { recursive: true });
    await mkdir(outside);
    await writeFile(join(root, 'cat.jpg'), 'cat');
    await writeFile(join(root, 'album', 'dog.jpg'), 'dog');
    await writeFile(join(outside, 'secret'), 'secret');
  });

  afterEach('leaves no file open', async () => {
    const left = await openFiles();
    await rm(folder, { recursive: true });
    expect(left).to.deep.equal([]);
  });

  describe('openBelow', () => {
    const expectRefused = (path: string, below: string | undefined = root) =>
      expectCode('PATH_NOT_ALLOWED', read(below, path));

    it('opens a file by its absolute path, or by its path from the root', async () => {
      expect(await read(root, join(root, 'cat.jpg'))).to.equal('cat');
      expect(await read(root, 'album/dog.jpg')).to.equal('dog');
    });

    it('returns the requested path, made absolute', async () => {
      for (const path of [`${root}/album/./dog.jpg`, 'cat.jpg']) {
        const opened = await openBelow(root, path);
        if (opened === null || opened === 'no-file') throw new Error(`Expected a file at ${path}`);
        await opened.handle.close();
        expect(opened.path).to.equal(path === 'cat.jpg' ? join(root, path) : path);
      }
    });

    it('accepts a dot, double slashes and links that stay inside', async () => {
      await symlink('album', join(root, 'link'));
      await symlink(join(root, 'album', 'dog.jpg'), join(root, 'absolute'));
      await symlink('../link/../cat.jpg', join(root, 'album', 'up'));
      expect(await read(root, `${root}//album/./dog.jpg`)).to.equal('dog');
      expect(await read(root, `${root}/link/dog.jpg`)).to.equal('dog');
      expect(await read(root, `${root}/absolute`)).to.equal('dog');
      expect(await read(root, `${root}/link/up`)).to.equal('cat');
    });

    it('refuses `..`, even to a file inside', async () => {
      await symlink('album', join(root, 'link'));
      for (const path of [
        `${root}/album/../cat.jpg`,
        'album/../cat.jpg',
        `${root}/link/../cat.jpg`,
        'none/../cat.jpg',
      ]) {
        await expectRefused(path);
      }
    });

    it('accepts a root that is a link, by both names', async () => {
      const alias = join(folder, 'alias');
      await symlink(root, alias);
      await symlink(join(alias, 'cat.jpg'), join(root, 'by-alias'));
      for (const path of [`${alias}/cat.jpg`, `${root}/cat.jpg`, 'by-alias'])
        expect(await read(alias, path)).to.equal('cat');
    });

    it('does not decode percent signs in names', async () => {
      await writeFile(join(root, '100%2e5.jpg'), 'percent');
      expect(await read(root, '100%2e5.jpg')).to.equal('percent');
      expect(await read(root, 'cat%2ejpg')).to.equal(null);
    });

    it('returns null for a missing file inside', async () => {
      const longest = 'x'.repeat(300);
      for (const path of ['none.jpg', 'none/cat.jpg', 'album/none.jpg', 'cat.jpg/none', longest]) {
        expect(await read(root, join(root, path)), path).to.equal(null);
      }
      await symlink('none.jpg', join(root, 'dangling'));
      expect(await read(root, `${root}/dangling`)).to.equal(null);
    });

    it('refuses every path without a root, and with a missing root', async () => {
      await expectRefused(join(root, 'cat.jpg'), join(folder, 'none'));
      await expectRefused(join(root, 'cat.jpg'), join(root, 'cat.jpg'));
      await expectCode('PATH_NOT_ALLOWED', read(undefined, join(root, 'cat.jpg')));
    });

    it('refuses paths outside, existing or not, with the same message', async () => {
      const words = new Set<string>();
      for (const name of ['secret', 'absent', 'absent/more', 'secret/more']) {
        for (const path of [
          `${outside}/${name}`,
          `${root}/../outside/${name}`,
          `../outside/${name}`,
          `${root}2/${name}`,
        ]) {
          words.add((await expectRefused(path)).replace(/, received .*/, ''));
        }
      }
      expect(words.size).to.equal(1);
    });

    it('refuses a path that leads out and in again, existing or not', async () => {
      for (const path of ['../root/cat.jpg', '../none/../root/cat.jpg', 'none/../../root/cat.jpg']) {
        await expectRefused(`${root}/${path}`);
      }
      await expectRefused(`${outside}/../root/cat.jpg`);
      await expectRefused(`${folder}/none/../root/cat.jpg`);
    });

    it('refuses links to paths outside, existing or not', async () => {
      await symlink(join(outside, 'secret'), join(root, 'file'));
      await symlink(join(outside, 'absent'), join(root, 'dangling'));
      await symlink('../outside', join(root, 'folder'));
      await symlink('folder', join(root, 'twice'));
      await symlink('/', join(root, 'top'));
      await symlink('../root/cat.jpg', join(root, 'out-and-in'));
      const paths = ['file', 'dangling', 'folder/secret', 'folder/absent', 'folder/absent/more', 'twice/secret'];
      for (const path of [
        ...paths,
        'top/etc/passwd',
        `top${root}/cat.jpg`,
        'out-and-in',
        '/proc/self/root/etc/passwd',
      ]) {
        await expectRefused(path);
      }
    });

    it('refuses circular links', async () => {
      await symlink('round', join(root, 'round'));
      await symlink('there', join(root, 'back'));
      await symlink('back', join(root, 'there'));
      for (const path of ['round', 'back', 'there/cat.jpg']) await expectRefused(path);
    });

    it('refuses percent-encoded dots and slashes, at any level, and NULs', async () => {
      const paths = [
        '%2e%2e/outside/secret',
        '..%2foutside%2fsecret',
        '%2E%2E%2Foutside',
        '%252e%252e/outside',
        '%25252e./x',
      ];
      for (const path of [...paths, '..%5coutside', 'cat.jpg%00.png', 'cat.jpg\0', '\0', `${root}/cat.jpg\0.png`]) {
        await expectRefused(path);
      }
    });

    it('tells folders, FIFOs and devices from files, and does not wait for them; refuses sockets', async () => {
      execFileSync('mkfifo', [join(root, 'fifo')]);
      const socket = createServer().listen(join(root, 'socket'));
      try {
        await symlink('.', join(root, 'self'));
        for (const path of ['', '.', root, `${root}/`, 'album', 'album/', 'self', 'fifo'])
          expect(await read(root, path), path).to.equal('no-file');
        for (const path of ['/', 'album/..', 'socket', '/etc', `${root}x`]) await expectRefused(path);
        for (const device of ['/dev/null', '/dev/zero']) expect(await read('/dev', device)).to.equal('no-file');
        expect(await read('/', '/')).to.equal('no-file');
      } finally {
        socket.close();
      }
    });

    it('refuses a path longer than the system allows', async () => {
      await expectRefused(`${root}/${'./'.repeat(3000)}cat.jpg`);
    });

    it('never leaves the root, for any path', async () => {
      await symlink('../outside', join(root, 'link'));
      await symlink('..', join(root, 'album', 'up'));
      const part = fc.constantFrom(
        '..',
        '.',
        '',
        'album',
        'old',
        'up',
        'link',
        'secret',
        'outside',
        'root',
        '%2e%2e',
        'none',
      );
      await fc.assert(
        fc.asyncProperty(fc.array(part, { maxLength: 8 }), fc.boolean(), async (parts, isAbsolute) => {
          const path = `${isAbsolute ? root : ''}/${parts.join('/')}`;
          const content = await read(root, path).catch((error: unknown) => {
            if (error instanceof DarkroomError && error.code === 'PATH_NOT_ALLOWED') return null;
            throw error;
          });
          return content !== 'secret';
        }),
        { numRuns: 300 },
      );
    });

    for (const [what, inside, out] of [
      ['a file', 'cat.jpg', 'secret'],
      ['a folder', 'album', ''],
    ] as const) {
      it(`never reads outside while ${what} and a link out are swapped`, async () => {
        await writeFile(join(outside, 'dog.jpg'), 'secret');
        const name = join(root, 'swapped');
        const path = what === 'a folder' ? `${name}/dog.jpg` : name;
        let isSwapping = true;
        const swapping = (async () => {
          for (let turn = 0; isSwapping; turn += 1) {
            const fresh = join(root, `fresh-${turn}`);
            const target = turn % 2 === 0 ? join(outside, out) : join(root, inside);
            await symlink(target, fresh);
            await rename(fresh, name);
          }
        })();
        const seen = new Set<string | null>();
        for (let tries = 0; tries < 300; tries += 1) {
          seen.add(
            await read(root, path).catch((error: unknown) =>
              error instanceof DarkroomError ? error.code : `${error}`,
            ),
          );
        }
        isSwapping = false;
        await swapping;
        seen.delete(null);
        expect([what === 'a folder' ? 'dog' : 'cat', 'PATH_NOT_ALLOWED']).to.include.members([...seen]);
      });
    }
  });

  describe('writeBelow', () => {
    const text = (content: string) => (handle: { writeFile(text: string): Promise<void> }) => handle.writeFile(content);

    it('writes a file with mode 0644, and returns its path', async () => {
      const path = join(root, 'album', 'cat_processed.png');
      expect(await writeBelow(root, path, text('circle'))).to.equal(path);
      expect(await readFile(path, 'utf8')).to.equal('circle');
      expect((await stat(path)).mode & 0o777).to.equal(0o644);
      expect(await writeBelow(root, 'new.png', text('x'))).to.equal(join(root, 'new.png'));
    });

    it('writes, makes the file durable, renames it and makes its name durable, in that order', async () => {
      const files = new RecordingFiles('/proc/self/fd');
      await writeBelow(root, 'album/new.png', text('circle'), files);
      const steps = files.take().map((step) => step.replace(/\.darkroom-[\w-]{21}/g, 'temporary'));
      expect(steps.map((step) => step.replace(/\b\d+\b/g, 'album'))).to.deep.equal([
        'create album/temporary',
        'write album/temporary',
        'fsync album/temporary',
        'rename album/temporary to album/new.png',
        'fsync album',
      ]);
    });

    it('replaces a file atomically, and does not change its other hard links', async () => {
      const path = join(root, 'cat.jpg');
      await link(path, join(root, 'same.jpg'));
      await writeBelow(root, path, async (handle) => {
        await handle.writeFile('new');
        expect(await readFile(path, 'utf8')).to.equal('cat');
      });
      expect(await readFile(path, 'utf8')).to.equal('new');
      expect(await readFile(join(root, 'same.jpg'), 'utf8')).to.equal('cat');
    });

    it('replaces a link, and does not follow it', async () => {
      const path = join(root, 'cat_processed.png');
      await symlink(join(outside, 'secret'), path);
      await writeBelow(root, path, text('circle'));
      expect(await readFile(join(outside, 'secret'), 'utf8')).to.equal('secret');
      expect(await readFile(path, 'utf8')).to.equal('circle');
    });

    it('leaves no file after a failure', async () => {
      const before = await readdir(root);
      const reason = new Error('no picture');
      const failing = writeBelow(root, join(root, 'cat.jpg'), async (handle) => {
        await handle.writeFile('half');
        throw reason;
      });
      expect(await failing.catch((error: unknown) => error)).to.equal(reason);
      expect(await readdir(root)).to.deep.equal(before);
      expect(await readFile(join(root, 'cat.jpg'), 'utf8')).to.equal('cat');
    });

    it('refuses paths outside, folders and missing folders, and writes nothing', async () => {
      await symlink('../outside', join(root, 'link'));
      const paths = [
        join(outside, 'new'),
        '../outside/new',
        'link/new',
        'album',
        'none/new',
        '',
        '.',
        root,
        '..',
        'new\0',
        'x'.repeat(300),
      ];
      for (const path of paths) await expectCode('PATH_NOT_ALLOWED', writeBelow(root, path, text('x')));
      await expectCode('PATH_NOT_ALLOWED', writeBelow(undefined, join(root, 'new'), text('x')));
      expect(await readdir(outside)).to.deep.equal(['secret']);
      expect(await readdir(root)).to.have.members(['album', 'cat.jpg', 'link']);
      expect(await readdir(join(root, 'album'))).to.have.members(['dog.jpg', 'old']);
    });

    it('writes to the folder that it has opened, even if a link replaces that folder meanwhile', async () => {
      await writeBelow(root, 'album/new.png', async (handle) => {
        await handle.writeFile('circle');
        await rename(join(root, 'album'), join(root, 'moved'));
        await symlink(outside, join(root, 'album'));
      });
      expect(await readdir(outside)).to.deep.equal(['secret']);
      expect(await readFile(join(root, 'moved', 'new.png'), 'utf8')).to.equal('circle');
    });
  });
});
