import { once } from 'node:events';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { expect } from 'chai';
import { runCommand } from '../support/command-in-process.ts';
import { type Ended, runDarkroom, startDarkroom } from '../support/command-line.ts';
import { FakeServerA } from '../support/fake-server-a.ts';

describe('darkroom upload', function () {
  this.timeout(180_000);

  let server: FakeServerA;
  let folder: string;

  beforeEach(async () => {
    server = await FakeServerA.start();
    folder = await mkdtemp(join(tmpdir(), 'darkroom-upload-'));
  });

  afterEach(async () => {
    await server.close();
    await rm(folder, { recursive: true });
  });

  function upload(...words: string[]): Promise<Ended> {
    return runCommand(['upload', '--server', server.url, ...words], { folder });
  }

  async function files(contents: Readonly<Record<string, string>>): Promise<void> {
    for (const [path, content] of Object.entries(contents)) {
      await mkdir(dirname(join(folder, path)), { recursive: true });
      await writeFile(join(folder, path), content);
    }
  }

  async function read(path: string): Promise<string> {
    return readFile(join(folder, path), 'utf8');
  }

  describe('sends', () => {
    it('the file as the raw body, with its length and media type', async () => {
      await files({ 'cat.jpg': 'meow'.repeat(50_000) });
      expect((await upload('cat.jpg', '--scale', '.5')).code).to.equal(0);
      const [sent] = server.uploads;
      expect(sent?.body.toString()).to.equal('meow'.repeat(50_000));
      expect(sent?.headers).to.include({ 'content-type': 'image/jpeg', 'content-length': '200000' });
      expect(sent?.query).to.deep.equal({ scale_factor: '.5' });
    });

    it('a field for each flag', async () => {
      await files({ 'cat.png': 'x' });
      const box = ['--width', '300', '--height', '200', '--fit', 'cover', '--format', 'webp', '--quality', '80'];
      const rest = ['--grayscale', '--circle', '64', '--classify', '--top-k', '3'];
      expect((await upload('cat.png', ...box, ...rest)).code).to.equal(0);
      expect(server.uploads[0]?.query).to.deep.equal({
        width: '300',
        height: '200',
        fit: 'cover',
        format: 'webp',
        quality: '80',
        grayscale: 'true',
        circle: '64',
        classify: 'true',
        top_k: '3',
      });
    });

    it('classify=true when no other output is requested', async () => {
      await files({ 'cat.jpg': 'x' });
      await upload('cat.jpg');
      await upload('cat.jpg', '--scale', '1', '--no-classify');
      expect(server.uploads.map(({ query }) => query)).to.deep.equal([
        { classify: 'true' },
        { scale_factor: '1', classify: 'false' },
      ]);
    });

    it('application/octet-stream for an unknown extension, and even an empty file', async () => {
      await files({ scan: '' });
      await upload('scan');
      expect(server.uploads[0]?.headers).to.include({
        'content-type': 'application/octet-stream',
        'content-length': '0',
      });
    });

    it('the key from the flag or the environment', async () => {
      await files({ 'cat.jpg': 'x' });
      await upload('cat.jpg', '--api-key', 'flag');
      const environment = { DARKROOM_SERVER: server.url, DARKROOM_API_KEY: 'variable' };
      await runDarkroom(['upload', 'cat.jpg'], { folder, environment });
      await writeFile(join(folder, '.env'), `DARKROOM_SERVER=${server.url}\nDARKROOM_API_KEY=file\n`);
      await runCommand(['upload', 'cat.jpg'], { folder });
      const keys = server.uploads.map(({ headers }) => headers.authorization);
      expect(keys).to.deep.equal(['Bearer flag', 'Bearer variable', 'Bearer file']);
    });

    it('all pictures of a folder and its folders, by extension and in order, without hidden ones', async () => {
      const names = ['b.JPG', 'a.png', 'sub/c.tiff', 'sub/deep/d.webp'];
      await files(Object.fromEntries([...names, 'notes.txt', '.hidden.jpg', '.git/e.jpg'].map((name) => [name, name])));
      const { code } = await upload('.', '--jobs', '1');
      expect(code).to.equal(0);
      const sent = server.uploads.map(({ body }) => body.toString());
      expect(sent).to.deep.equal(['a.png', 'b.JPG', 'sub/c.tiff', 'sub/deep/d.webp']);
    });

    it('at most --jobs files at once', async () => {
      await files(Object.fromEntries(Array.from({ length: 12 }, (_, index) => [`${index}.jpg`, 'x'])));
      await upload('.', '--jobs', '3');
      expect(server.uploads).to.have.length(12);
      expect(server.mostAtOnce).to.be.within(1, 3);
    });
  });

  describe('prints', () => {
    it('a line for each file: its task, or with --wait its result', async () => {
      await files({ 'cat.jpg': 'x' });
      const id = '[\\w-]{21}';
      expect((await upload('cat.jpg')).stdout).to.match(new RegExp(`^cat\\.jpg {2}${id} {2}pending\n$`));
      const { stdout } = await upload('cat.jpg', '--wait', '--scale', '1');
      expect(stdout).to.match(new RegExp(`^cat\\.jpg {2}${id} {2}completed {2}resize 4×3 {2}tabby 76 %\n$`));
    });

    it('a JSON line for each file with --json', async () => {
      await files({ 'cat.jpg': 'x' });
      const { stdout } = await upload('cat.jpg', 'cat.jpg', '--json', '--wait');
      const reports = stdout
        .trimEnd()
        .split('\n')
        .map((line) => JSON.parse(line));
      expect(reports).to.have.length(2);
      expect(reports[0]).to.deep.include({ file: 'cat.jpg', saved: [], error: null });
      expect(reports[0].task).to.include({ status: 'completed' });
    });

    it('the detail of a refusal on one line, exits with 1, and uploads the other files', async () => {
      await files({ 'a.jpg': 'x', 'b.jpg': 'x' });
      server.refusals.push({ code: 'UNSUPPORTED_IMAGE', detail: 'Expected a picture, received text' });
      const { code, stdout, stderr } = await upload('a.jpg', 'b.jpg', '--jobs', '1');
      expect(code).to.equal(1);
      expect(stderr).to.equal('a.jpg  Expected a picture, received text (UNSUPPORTED_IMAGE)\n');
      expect(stdout).to.match(/^b\.jpg {2}/);
    });

    it('the error of a failed task, and exits with 1', async () => {
      await files({ 'a.jpg': 'x' });
      server.failures = { classify: { code: 'IMAGE_CORRUPT', message: 'The picture breaks off' } };
      const { code, stderr } = await upload('a.jpg', '--wait');
      expect(code).to.equal(1);
      expect(stderr).to.match(/failed .*The picture breaks off \(IMAGE_CORRUPT\)/);
    });

    it('a failed classification as a failure only when a flag requested it', async () => {
      await files({ 'a.jpg': 'x' });
      server.failures = { classify: { code: 'MODEL_UNAVAILABLE', message: 'No model' } };
      const unasked = await upload('a.jpg', '--wait', '--scale', '1');
      expect(unasked.code).to.equal(0);
      expect(unasked.stdout).to.contain('classify failed: No model (MODEL_UNAVAILABLE)');
      expect((await upload('a.jpg', '--wait', '--scale', '1', '--classify')).code).to.equal(1);
    });

    it('one line for a missing server, a missing file and an empty folder', async () => {
      await files({ 'a.jpg': 'x', 'empty/notes.txt': 'x' });
      const refused = await runDarkroom(['upload', '--server', '127.0.0.1:1', 'a.jpg'], { folder });
      expect(refused).to.deep.equal({
        code: 1,
        stdout: '',
        stderr: 'a.jpg  Darkroom at http://127.0.0.1:1 does not answer: ECONNREFUSED (BACKEND_UNAVAILABLE)\n',
      });
      const missing = await upload('missing.jpg');
      expect(missing.code).to.equal(1);
      expect(missing.stderr).to.match(/^darkroom: Expected a file or folder \(ENOENT\) .*'missing\.jpg'\n$/);
      expect((await upload('empty')).stderr).to.match(/^darkroom: Expected a folder with pictures .*'empty'\n$/);
    });

    it('the answer of a server that is not Darkroom', async () => {
      await files({ 'a.jpg': 'x' });
      const other = createServer((request, response) => {
        response.statusCode = request.url?.startsWith('/broken') === true ? 502 : 200;
        request.resume().on('end', () => response.end('<h1>Something else</h1>'));
      });
      other.listen(0, '127.0.0.1');
      await once(other, 'listening');
      try {
        const url = `http://127.0.0.1:${Object(other.address()).port}`;
        const fine = await runCommand(['upload', '--server', url, 'a.jpg'], { folder });
        expect(fine.stderr).to.match(/^a\.jpg {2}Expected a task record of Darkroom, received .*\(SOURCE_ERROR\)\n$/);
        const broken = await runCommand(['upload', '--server', `${url}/broken`, 'a.jpg'], { folder });
        expect(broken.stderr).to.contain('received 502 <h1>Something else</h1> (SOURCE_ERROR)\n');
      } finally {
        other.close();
      }
    });
  });

  describe('-o', () => {
    it('saves one file under this name, and requests the format of its extension', async () => {
      await files({ 'cat.jpg': 'meow' });
      const { stdout } = await upload('cat.jpg', '--scale', '1', '-o', 'out/small.webp');
      expect(stdout).to.match(/ {2}out\/small\.webp\n$/);
      expect(await read('out/small.webp')).to.equal('meow');
      expect(server.uploads[0]?.query['format']).to.equal('webp');
    });

    it('saves several files under their names in a folder, with the extension of their format', async () => {
      await files({ 'in/a.jpeg': 'a', 'in/sub/b.png': 'b' });
      await upload('in', '--scale', '1', '-o', 'kept');
      expect(await tree('kept')).to.deep.equal({ 'a.jpeg': 'a', 'sub/b.png': 'b' });
      await upload('in', '--scale', '1', '--format', 'webp', '-o', 'changed');
      expect(await tree('changed')).to.deep.equal({ 'a.webp': 'a', 'sub/b.webp': 'b' });
    });

    it('never saves two pictures under the same name', async () => {
      await files({ 'x/cat.jpg': '1', 'y/cat.jpg': '2', 'y/CAT.png': '3' });
      await upload('x/cat.jpg', 'y/cat.jpg', 'y/CAT.png', '--scale', '1', '--circle', '8', '-o', 'out');
      expect(await tree('out')).to.deep.equal({
        'cat.jpg': '1',
        'cat-circle.png': '1',
        'cat-2.jpg': '2',
        'cat-2-circle.png': '2',
        'CAT-3.png': '3',
        'CAT-3-circle.png': '3',
      });
    });

    it('never overwrites an uploaded picture', async () => {
      await files({ 'in/cat.jpg': 'original' });
      await upload('in', '--scale', '1', '-o', 'in');
      expect(await tree('in')).to.deep.equal({ 'cat.jpg': 'original', 'cat-2.jpg': 'original' });
    });

    it('is a folder even for one file, if it exists as a folder or ends with a slash', async () => {
      await files({ 'cat.jpg': 'meow', 'there/other.txt': '' });
      await upload('cat.jpg', '--circle', '8', '-o', 'there');
      await upload('cat.jpg', '--circle', '8', '-o', 'new/');
      expect(await read('there/cat.png')).to.equal('meow');
      expect(await tree('new')).to.deep.equal({ 'cat.png': 'meow' });
    });

    it('must not be a file for several inputs, and needs an operation that makes a picture', async () => {
      await files({ 'a.jpg': 'x', 'b.jpg': 'x', 'file.txt': 'x' });
      const several = await upload('a.jpg', 'b.jpg', '--scale', '1', '-o', 'file.txt');
      expect(several.stderr).to.equal("darkroom: Expected a folder for --output, received 'file.txt'\n");
      const none = await upload('a.jpg', '-o', 'out.jpg');
      expect(none.stderr).to.match(
        /^darkroom: Expected --scale, --width, --height, --circle or an output that is a picture with --output/,
      );
      expect([several.code, none.code, server.uploads.length]).to.deep.equal([1, 1, 0]);
    });
  });

  describe('when Server A answers "not now"', () => {
    it('tries again for every such code with Retry-After', async () => {
      await files({ 'a.jpg': 'meow' });
      for (const code of ['QUEUE_FULL', 'DRAINING', 'STORAGE_FULL'] as const) {
        server.refusals.push({ code, detail: 'later', retryAfter: '0' });
      }
      expect(await upload('a.jpg')).to.include({ code: 0, stderr: '' });
      expect(server.refusals).to.deep.equal([]);
      expect(server.uploads.map(({ body }) => body.toString())).to.deep.equal(['meow']);
    });

    it('does not try again without Retry-After', async () => {
      await files({ 'a.jpg': 'x' });
      server.refusals.push({ code: 'QUEUE_FULL', detail: 'full' });
      expect(await upload('a.jpg')).to.include({ code: 1, stderr: 'a.jpg  full (QUEUE_FULL)\n' });
    });

    it('fails at once when Retry-After exceeds --patience', async () => {
      await files({ 'a.jpg': 'x' });
      server.refusals.push({ code: 'QUEUE_FULL', detail: 'full', retryAfter: '3600' });
      expect(await upload('a.jpg')).to.include({ code: 1, stderr: 'a.jpg  full (QUEUE_FULL)\n' });
      server.refusals.push({ code: 'QUEUE_FULL', detail: 'full', retryAfter: '0' });
      expect((await upload('a.jpg', '--patience', '0')).code).to.equal(1);
    });

    it('repeats a status request whose connection was cut', async () => {
      await files({ 'a.jpg': 'x' });
      server.cuts = 2;
      expect(await upload('a.jpg', '--wait')).to.include({ code: 0, stderr: '' });
    });

    it('never repeats an upload whose connection was cut, because it may have become a task', async () => {
      await files({ 'a.jpg': 'x' });
      server.refusals.push('cut');
      const { code, stderr } = await upload('a.jpg');
      expect(code).to.equal(1);
      const line = /^a\.jpg {2}Darkroom at .* does not answer: UND_ERR_SOCKET \(BACKEND_UNAVAILABLE\)\n$/;
      expect(stderr).to.match(line);
      expect(server.uploads).to.have.length(0);
    });
  });

  it('ends at SIGINT with one line, and leaves no incomplete file', async () => {
    await files({ 'a.jpg': 'x' });
    server.taskMs = Number.POSITIVE_INFINITY;
    const waits = server.waits();
    const words = ['upload', '--server', server.url, 'a.jpg', '--scale', '1', '-o', 'out/'];
    const running = startDarkroom(words, { folder });
    await waits;
    running.process.kill('SIGINT');
    expect(await running.ended).to.deep.equal({ code: 1, stdout: '', stderr: 'darkroom: Stopped by SIGINT\n' });
    expect(await tree('out')).to.deep.equal({});
  });

  /** The files below a folder: their contents by path. */
  async function tree(root: string): Promise<Record<string, string>> {
    const entries = await readdir(join(folder, root), { recursive: true, withFileTypes: true });
    const paths = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
    const contents = await Promise.all(paths.map((path) => readFile(path, 'utf8')));
    return Object.fromEntries(
      paths.map((path, index) => [path.slice(join(folder, root).length + 1), contents[index] ?? '']),
    );
  }
});
