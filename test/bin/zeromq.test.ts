import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import sharp from 'sharp';
import type { Backend } from '../../server-a/dispatch/lanes.ts';
import { type PictureServer, startPictureServer } from '../server-a/protocols/zeromq/picture-server.ts';
import { type Fixture, startFixture, startServerB } from '../server-a/protocols/zeromq/zeromq-fixture.ts';
import { runCommand } from '../support/command-in-process.ts';
import { type Ended, runDarkroom } from '../support/command-line.ts';
import { freePort } from '../support/free-port.ts';

describe('ZeroMQ client commands', function () {
  this.timeout(180_000);
  let serverB: { backend: Backend; stop: () => Promise<void> };
  let pictures: PictureServer;
  let fixture: Fixture;
  let folder: string;

  before(async () => {
    serverB = await startServerB();
    pictures = await startPictureServer();
    fixture = await startFixture({ apiKeys: ['secret'] }, serverB.backend);
  });

  after(async () => {
    await fixture.stop();
    await pictures.stop();
    await serverB.stop();
  });

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'darkroom-zeromq-cli-'));
  });

  afterEach(() => rm(folder, { recursive: true }));

  function run(...words: string[]): Promise<Ended> {
    return runCommand(words, { folder, environment: environment() });
  }

  /** The same as a process. */
  function runProcess(...words: string[]): Promise<Ended> {
    return runDarkroom(words, { folder, environment: environment() });
  }

  function environment(): Record<string, string> {
    return {
      DARKROOM_ZEROMQ: fixture.address,
      DARKROOM_ZEROMQ_PUB: fixture.pubAddress.replace('tcp://', ''),
      DARKROOM_API_KEY: 'secret',
    };
  }

  async function file(name: string, content: string | Buffer): Promise<string> {
    await writeFile(join(folder, name), content);
    return name;
  }

  describe('classify', () => {
    it('prints a line for each URL of a file with a header, a byte order mark and blank lines', async () => {
      const red = `${pictures.url}/red?a,b`;
      const blue = `${pictures.url}/blue`;
      await file('urls.csv', `\uFEFFurl,note\r\n"${red}",x\r\n\r\n${blue}\r\n${blue}\r\n`);
      const { code, stdout, stderr } = await runProcess('classify', 'urls.csv');
      expect([code, stderr]).to.deep.equal([0, '']);
      expect(stdout.trimEnd().split('\n')).to.have.members([`${red}  red`, `${blue}  blue`, `${blue}  blue`]);
    });

    it('reads a file without a header, prints a failure to standard error, and exits with 1', async () => {
      await file('urls.csv', `${pictures.url}/missing\n${pictures.url}/green`);
      const { code, stdout, stderr } = await run('classify', 'urls.csv');
      expect([code, stdout]).to.deep.equal([1, `${pictures.url}/green  green\n`]);
      expect(stderr).to.match(/^http:\S+\/missing {2}Expected [^\n]+\n$/);
    });

    it('prints JSON lines with --json', async () => {
      await file('urls.csv', `${pictures.url}/red\nhttp://[broken\n`);
      const { code, stdout } = await run('classify', 'urls.csv', '--json');
      expect(code).to.equal(1);
      const lines = stdout
        .trimEnd()
        .split('\n')
        .map((line) => JSON.parse(line));
      expect(lines).to.deep.include({ url: `${pictures.url}/red`, class: 'red' });
      expect(lines.find((line) => 'error' in line)?.url).to.equal('http://[broken');
      expect(lines).to.have.length(2);
    });

    it('reports an invalid file with one line', async () => {
      await file('empty.csv', 'url\n');
      await file('broken.csv', '"http://a');
      for (const name of ['empty.csv', 'broken.csv', 'missing.csv']) {
        const { code, stdout, stderr } = await run('classify', name);
        expect([code, stdout], name).to.deep.equal([1, '']);
        expect(stderr).to.match(/^darkroom: Expected a [^\n]*file[^\n]* for classify, received '\w+\.csv'\n$/);
      }
    });

    it('reports a refusal of the server, and a server that does not answer', async () => {
      await file('urls.csv', pictures.url);
      const refused = await run('classify', 'urls.csv', '--api-key', 'wrong');
      expect(refused).to.deep.include({ code: 1, stdout: '' });
      expect(refused.stderr).to.equal('darkroom: Expected an API key in the member api_key, received another\n');
      const address = `tcp://127.0.0.1:${await freePort()}`;
      const silent = await run('classify', 'urls.csv', '--zeromq', address, '--patience', '0.3');
      expect(silent).to.deep.include({ code: 1, stdout: '' });
      expect(silent.stderr).to.equal(`darkroom: ${address} sent nothing within 0.3 seconds\n`);
    });
  });

  describe('image', () => {
    it('uploads, retrieves and resizes a picture', async () => {
      const picture = await sharp({ create: { width: 30, height: 20, channels: 3, background: '#f00' } })
        .jpeg()
        .toBuffer();
      await file('cat.jpg', picture);
      await file('text.jpg', 'no picture, but more than a few bytes of text');
      const uploaded = await runProcess('image', 'upload', 'cat.jpg', 'text.jpg', 'missing.jpg');
      expect(uploaded.code).to.equal(1);
      const [, id = ''] = /^cat\.jpg {2}([\w-]{21})\n$/.exec(uploaded.stdout) ?? [];
      expect(uploaded.stderr).to.match(/^text\.jpg {2}[^\n]+\nmissing\.jpg {2}ENOENT[^\n]+\n$/);
      expect(await run('image', 'retrieve', id, '-o', 'again.jpg')).to.deep.equal({
        code: 0,
        stdout: 'again.jpg\n',
        stderr: '',
      });
      expect((await readFile(join(folder, 'again.jpg'))).equals(picture)).to.equal(true);
      const resized = await run('image', 'resize', id, '--width', '11', '--height', '7', '-o', 'small.png', '--json');
      const png = await readFile(join(folder, 'small.png'));
      expect(JSON.parse(resized.stdout)).to.deep.equal({ image_id: id, saved: 'small.png', bytes: png.length });
      const { format, width, height } = await sharp(png).metadata();
      expect({ format, width, height }).to.deep.equal({ format: 'png', width: 11, height: 7 });
    });

    it('reports each file as a JSON line with --json', async () => {
      await file('text.jpg', 'no picture, but more than a few bytes of text');
      const { code, stdout } = await run('image', 'upload', 'text.jpg', '--json');
      expect(code).to.equal(1);
      expect(JSON.parse(stdout)).to.include({ file: 'text.jpg', image_id: null });
    });

    it('accepts an id that begins with a hyphen, and reports that it is unknown', async () => {
      const id = '-1StGXR8_Z5jdHi6B-myT';
      const { code, stderr } = await run('image', 'retrieve', id, '-o', 'x.png');
      expect([code, stderr]).to.deep.equal([
        1,
        `darkroom: Expected the id of a known task for task_id, received '${id}'\n`,
      ]);
    });
  });
});
