import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect } from 'chai';
import sharp from 'sharp';
import type { Backend } from '../../server-a/dispatch/lanes.ts';
import { type PictureServer, startPictureServer } from '../server-a/zeromq/picture-server.ts';
import { type Fixture, startFixture, startServerB } from '../server-a/zeromq/zeromq-fixture.ts';
import { requirePython } from '../support/python.ts';
import { repositoryPath } from '../support/repository.ts';

const run = promisify(execFile);

/** A program and the words it is started with. */
type Example = readonly [program: string, script: string];

describe('examples of ZeroMQ clients', function () {
  this.timeout(60_000);
  let serverB: { backend: Backend; stop: () => Promise<void> };
  let pictures: PictureServer;
  let fixture: Fixture;
  let folder: string;

  before(async () => {
    serverB = await startServerB();
    pictures = await startPictureServer();
    fixture = await startFixture({}, serverB.backend);
    folder = await mkdtemp(join(tmpdir(), 'darkroom-examples-'));
  });

  after(async () => {
    await fixture.stop();
    await pictures.stop();
    await serverB.stop();
    await rm(folder, { recursive: true });
  });

  async function start([program, script]: Example, ...words: string[]): Promise<string[]> {
    const env = {
      PATH: process.env['PATH'],
      DARKROOM_ZEROMQ: fixture.address,
      DARKROOM_ZEROMQ_PUB: fixture.pubAddress,
    };
    const { stdout } = await run(program, [repositoryPath(script), ...words], { cwd: folder, env });
    return stdout.trimEnd().split('\n');
  }

  async function classifies(example: Example): Promise<void> {
    const [red, missing] = [`${pictures.url}/red`, `${pictures.url}/missing`];
    await writeFile(join(folder, 'urls.csv'), `url\n${red}\n${missing}\n`);
    const lines = await start(example, 'urls.csv');
    expect(lines).to.have.length(2).and.to.include(`${red}  red`);
    expect(lines.find((line) => line.startsWith(missing))).to.match(/ {2}Expected /);
  }

  async function resizes(example: Example): Promise<void> {
    const picture = await sharp({ create: { width: 30, height: 20, channels: 3, background: '#f00' } })
      .jpeg()
      .toBuffer();
    await writeFile(join(folder, 'cat.jpg'), picture);
    const [kept, bytes, saved] = await start(example, 'cat.jpg', '9', '5', 'small.png');
    expect(kept).to.match(/^kept as [\w-]{21}$/);
    expect(bytes).to.equal(`${picture.length} bytes come back`);
    expect(saved).to.equal('9×5 pixels in small.png');
    const { format, width, height } = await sharp(await readFile(join(folder, 'small.png'))).metadata();
    expect({ format, width, height }).to.deep.equal({ format: 'png', width: 9, height: 5 });
  }

  it('classify-urls.ts prints a line for each URL', () =>
    classifies([process.execPath, 'dist/examples/typescript/classify-urls.js']));

  it('keep-and-resize.ts saves the picture at another size', () =>
    resizes([process.execPath, 'dist/examples/typescript/keep-and-resize.js']));

  it('classify_urls.py prints a line for each URL', async function () {
    await classifies([await requirePython(this, 'zmq'), 'examples/python/classify_urls.py']);
  });

  it('keep_and_resize.py saves the picture at another size', async function () {
    await resizes([await requirePython(this, 'zmq'), 'examples/python/keep_and_resize.py']);
  });
});
