import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'chai';
import { storeOutput } from '../../../tasks/support.ts';
import {
  type Answer,
  ask,
  expectNothingLeft,
  type Fixture,
  FORM_TYPE,
  formBytes,
  jpeg,
  type Part,
  problemOf,
  startFixture,
} from '../http-fixture.ts';
import { RawClient } from '../raw-client.ts';

const URLENCODED = 'application/x-www-form-urlencoded';

describe('POST /process', () => {
  let fixture: Fixture;
  let root: string;
  let cat: string;

  before(async () => {
    root = await mkdtemp(join(tmpdir(), 'darkroom-root-'));
    cat = join(root, 'cat.jpg');
    await writeFile(cat, await jpeg());
    fixture = await startFixture({ pathRoot: root });
    fixture.tasks.dispatcher.target = {
      enqueue: (id) => void complete(id),
      cancel: () => undefined,
    };
  });
  after(async () => {
    await fixture.stop();
    await rm(root, { recursive: true });
  });

  /** Completes a task like the dispatcher. */
  async function complete(id: string): Promise<void> {
    const job = await fixture.tasks.records.begin(id);
    if (job === null) throw new Error('Expected the task to begin');
    const bytes = Buffer.from(JSON.stringify(job.specs));
    await fixture.tasks.records.complete(job, [await storeOutput(fixture.tasks, job, bytes, 'circle')], {});
  }

  function post(body: string | Buffer, type = 'application/json'): Promise<Answer> {
    return ask(fixture, {
      method: 'POST',
      path: '/process',
      headers: { 'Content-Type': type },
      body: Buffer.from(body),
    });
  }
  const postForm = (parts: readonly Part[]) => post(formBytes(parts), FORM_TYPE);
  const said = ({ status, headers, body }: Answer) => [status, headers['content-type'], JSON.parse(body.toString())];
  const JSON_TYPE = 'application/json; charset=utf-8';
  const unreadable = [400, JSON_TYPE, { status: false, error: 'Invalid request body' }];

  it('answers status, path and size for a JSON body, a form and a urlencoded form', async () => {
    const path = join(root, 'cat_processed.png');
    const expected = [200, JSON_TYPE, { status: true, path, size: 200 }];
    const picture = await readFile(cat);
    const encoded = `path=${encodeURIComponent(cat)}&size=200`;
    for (const answer of [
      () => post(JSON.stringify({ path: cat, size: 200 })),
      () =>
        postForm([
          ['path', cat],
          ['size', '200'],
        ]),
      () =>
        postForm([
          ['file', picture, 'cat.jpg'],
          ['path', cat],
          ['size', '200'],
        ]),
      () =>
        postForm([
          ['path', cat],
          ['size', '200'],
          ['file', picture, 'cat.jpg'],
        ]),
      () => post(encoded, URLENCODED),
      () => post(encoded.replace('200', ' 200%0A'), URLENCODED),
      () => post(JSON.stringify({ path: cat, size: 200 }), URLENCODED),
      () => post(JSON.stringify({ path: cat, size: 200 }), 'text/plain'),
      () => post(JSON.stringify({ path: cat, size: 200 }), ''),
    ]) {
      expect(said(await answer())).to.deep.equal(expected);
      expect(await readFile(path, 'utf8')).to.contain('"size":200');
      await rm(path);
    }
  });

  it('uses 256 for a size of 0 or less, and for a missing size', async () => {
    for (const body of [{ path: cat, size: 0 }, { path: cat, size: -3 }, { path: cat }]) {
      expect(said(await post(JSON.stringify(body)))[2]).to.include({ size: 256 });
    }
    expect(said(await post(`path=${cat}&size=`, URLENCODED))[2]).to.include({ size: 256 });
  });

  it('answers 200 when status is false, too', async () => {
    const missing = await post(JSON.stringify({ path: join(root, 'dog.jpg'), size: 9 }));
    expect(said(missing)).to.deep.equal([200, JSON_TYPE, { status: false, path: '', size: 0 }]);
    await writeFile(join(root, 'text.jpg'), 'no picture');
    const text = await post(JSON.stringify({ path: join(root, 'text.jpg'), size: 9 }));
    expect(said(text)).to.deep.equal([200, JSON_TYPE, { status: false, path: join(root, 'text.jpg'), size: 0 }]);
  });

  it('answers 200 and status false for a folder, an empty path and a size that cannot be made', async () => {
    for (const [path, size] of [
      [root, 9],
      ['', 9],
      [cat, 16_385],
      [cat, 2 ** 31 - 1],
    ] as const) {
      const expected = [200, JSON_TYPE, { status: false, path, size: 0 }];
      expect(said(await post(JSON.stringify({ path, size })))).to.deep.equal(expected);
      expect(said(await post(`path=${encodeURIComponent(path)}&size=${size}`, URLENCODED))).to.deep.equal(expected);
      expect(
        said(
          await postForm([
            ['path', path],
            ['size', `${size}`],
          ]),
        ),
      ).to.deep.equal(expected);
    }
  });

  it('answers 403 for a path that is not allowed, whether the file exists or not', async () => {
    for (const path of ['/etc/hostname', '/etc/not-there', `${root}/../x`]) {
      const problem = problemOf(await post(JSON.stringify({ path, size: 9 })));
      expect([problem.status, problem.code], path).to.deep.equal([403, 'PATH_NOT_ALLOWED']);
    }
  });

  it('answers 403 for every path without a root', async () => {
    const rootless = await startFixture();
    for (const path of [cat, '/etc/not-there']) {
      const body = Buffer.from(JSON.stringify({ path, size: 9 }));
      const headers = { 'Content-Type': 'application/json' };
      expect(problemOf(await ask(rootless, { method: 'POST', path: '/process', headers, body })).status).to.equal(403);
    }
    await rootless.stop();
  });

  for (const [what, body, type] of [
    ['invalid JSON', '{"path":', 'application/json'],
    ['an empty body', '', 'application/json'],
    ['an array', '[]', 'application/json'],
    ['no path', '{"size":9}', 'application/json'],
    ['a path that is not a text', '{"path":7,"size":9}', 'application/json'],
    ['a size that is not a whole number', '{"path":"/a","size":1.5}', 'application/json'],
    ['a size beyond 32 bits', '{"path":"/a","size":2147483648}', 'application/json'],
    ['a size that is a text', '{"path":"/a","size":"9"}', 'application/json'],
    ['a form without a path', 'size=9', URLENCODED],
    ['a form with two paths', 'path=/a&path=/b&size=9', URLENCODED],
    ['a form with too many fields', `path=/a&${'x&'.repeat(32)}`, URLENCODED],
    ['a form whose size is not a number', 'path=/a&size=abc', URLENCODED],
    [
      'a form that is cut off',
      '--boundary-of-tests\r\nContent-Disposition: form-data; name="path"\r\n\r\n/a',
      FORM_TYPE,
    ],
    ['a form without a boundary', 'path', 'multipart/form-data'],
    ['another type', 'path=/a', 'text/plain'],
  ] as const) {
    it(`answers "Invalid request body" for ${what}`, async () => {
      expect(said(await post(body, type))).to.deep.equal(unreadable);
    });
  }

  it('answers "Invalid request body" for a file under another name', async () => {
    expect(
      said(
        await postForm([
          ['path', cat],
          ['photo', 'x', 'a.jpg'],
        ]),
      ),
    ).to.deep.equal(unreadable);
  });

  it('refuses a body that is too large, and reads it to the end', async () => {
    expect(problemOf(await post(Buffer.alloc(100_000, ' '))).code).to.equal('PAYLOAD_TOO_LARGE');
    const answer = await postForm([
      ['path', cat],
      ['file', Buffer.alloc(3_000_000), 'a.jpg'],
    ]);
    expect(problemOf(answer).code).to.equal('PAYLOAD_TOO_LARGE');
  });

  it('keeps a silent connection open until the answer, and cancels the task when the client disconnects', async () => {
    const waiting = await startFixture({ pathRoot: root });
    const canceled: string[] = [];
    waiting.tasks.dispatcher.target = { enqueue: () => undefined, cancel: (id) => canceled.push(id) };
    // Milliseconds; the default is two minutes.
    waiting.server.server.timeout = 200;
    const body = JSON.stringify({ path: cat, size: 9 });
    const client = new RawClient(waiting);
    await client.write('POST /process HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n');
    await client.write(`Content-Length: ${body.length}\r\n\r\n${body}`);
    while (waiting.tasks.counts().pending === 0) await sleep(5);
    await sleep(500);
    expect(canceled).to.deep.equal([]);
    client.socket.destroy();
    await expectNothingLeft(waiting);
    expect(canceled).to.have.length(1);
    await waiting.stop();
  });

  it('refuses an invalid body before the whole body has arrived', async () => {
    const client = new RawClient(fixture);
    const head =
      'POST /process HTTP/1.1\r\nHost: a\r\nContent-Type: multipart/form-data\r\nContent-Length: 1000\r\n\r\n';
    await client.write(`${head}${'x'.repeat(500)}`);
    expect(await client.until(/Invalid request body"\}/)).to.match(/^HTTP\/1\.1 400 /);
    await client.write('x'.repeat(500));
    await client.closed();
    expect(client.error).to.equal(null);
  });
});
