import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect } from 'chai';
import { expectNothingLeft, type Fixture, jpeg, startFixture } from './http-fixture.ts';
import { RawClient } from './raw-client.ts';

const run = promisify(execFile);
const MEBIBYTE = 1024 * 1024;

/** Sends a whole body of zeros before it reads, like many simple clients, and prints the status. */
const PYTHON_CLIENT = `
import http.client, sys
client = http.client.HTTPConnection(sys.argv[1], int(sys.argv[2]))
client.request('POST', '/upload?circle=9', b'\\0' * int(sys.argv[3]), {'Content-Type': 'image/jpeg'})
print(client.getresponse().status)
`;

describe('the answer to a refused upload', () => {
  let fixture: Fixture;

  before(async () => {
    fixture = await startFixture();
  });

  after(() => fixture.stop());

  afterEach(() => expectNothingLeft(fixture));

  /** True when a program can be run. */
  async function exists(program: string): Promise<boolean> {
    return run(program, ['--version']).then(
      () => true,
      () => false,
    );
  }

  function head(length: number, query = '?circle=9', more = ''): string {
    const fields = `Host: a\r\nContent-Type: image/jpeg\r\nContent-Length: ${length}\r\n${more}`;
    return `POST /upload${query} HTTP/1.1\r\n${fields}\r\n`;
  }

  it('reaches a client that first sends all of 20 MB, ten times out of ten', async () => {
    for (let round = 0; round < 10; round += 1) {
      const client = new RawClient(fixture);
      client.socket.pause();
      await client.write(head(20 * MEBIBYTE));
      await client.write(Buffer.alloc(20 * MEBIBYTE));
      client.socket.resume();
      expect(await client.closed()).match(/^HTTP\/1\.1 413 [\s\S]*Connection: close[\s\S]*"code":"PAYLOAD_TOO_LARGE"/);
      expect(client.error).equal(null);
    }
  });

  it('reaches a web page of another host, after its body is drained', async () => {
    const client = new RawClient(fixture);
    client.socket.pause();
    await client.write(head(20 * MEBIBYTE, '?circle=9', 'Origin: http://evil.example\r\n'));
    await client.write(Buffer.alloc(20 * MEBIBYTE));
    client.socket.resume();
    expect(await client.closed()).match(/^HTTP\/1\.1 403 [\s\S]*Connection: close[\s\S]*"code":"ORIGIN_NOT_ALLOWED"/);
    expect(client.error).equal(null);
  });

  it('is sent before the body has arrived', async () => {
    const client = new RawClient(fixture);
    await client.write(head(20 * MEBIBYTE));
    await client.until(/"code":"PAYLOAD_TOO_LARGE"/);
    client.socket.destroy();
  });

  it('for fields in the query is sent before the body has arrived', async () => {
    const client = new RawClient(fixture);
    await client.write(head(1000, '?circle=0'));
    await client.until(/^HTTP\/1\.1 400 [\s\S]*for circle/);
    client.socket.destroy();
  });

  it('for fields before the picture is sent before the picture has arrived', async () => {
    const client = new RawClient(fixture);
    const part = (name: string) => `--b\r\nContent-Disposition: form-data; name="${name}"`;
    const typed = 'Host: a\r\nContent-Type: multipart/form-data; boundary=b\r\nContent-Length: 100000';
    await client.write(`POST /upload HTTP/1.1\r\n${typed}\r\n\r\n`);
    await client.write(`${part('scale_factor')}\r\n\r\nabc\r\n${part('image')}; filename="a.jpg"\r\n\r\n\xff`);
    await client.until(/^HTTP\/1\.1 400 [\s\S]*for scale_factor, received 'abc'/);
    client.socket.destroy();
  });

  it('for the first bytes of the picture is sent before the rest has arrived', async () => {
    const client = new RawClient(fixture);
    await client.write(head(100_000));
    await client.write('this is text. '.repeat(30));
    await client.until(/^HTTP\/1\.1 415 [\s\S]*"code":"UNSUPPORTED_IMAGE"/);
    client.socket.destroy();
  });

  it('is sent to a client that expects 100-continue, which then sends no body', async () => {
    const client = new RawClient(fixture);
    await client.write(head(20 * MEBIBYTE, '?circle=9', 'Expect: 100-continue\r\n'));
    const answer = await client.until(/"code":"PAYLOAD_TOO_LARGE"/);
    expect(answer).match(/^HTTP\/1\.1 413 /);
    client.socket.destroy();
  });

  it('leaves the connection open when the whole body has arrived', async () => {
    const client = new RawClient(fixture);
    await client.write('GET /nope HTTP/1.1\r\nHost: a\r\n\r\n');
    await client.until(/"code":"NOT_FOUND"/);
    await client.write('GET /livez HTTP/1.1\r\nHost: a\r\n\r\n');
    expect(await client.until(/"live"/)).not.contain('Connection: close');
    client.socket.destroy();
  });

  it('is not sent when an upload with 100-continue is accepted', async () => {
    const picture = await jpeg();
    const client = new RawClient(fixture);
    await client.write(head(picture.length, '?circle=9', 'Expect: 100-continue\r\n'));
    await client.until(/^HTTP\/1\.1 100 Continue\r\n\r\n$/);
    await client.write(picture);
    const [, id = ''] = /"task_id":"([^"]+)"/.exec(await client.until(/HTTP\/1\.1 202 [\s\S]*"timings"/)) ?? [];
    client.socket.destroy();
    await fixture.tasks.cancel(id);
    await fixture.tasks.forget(id);
  });

  it('is read by curl', async function () {
    if (!(await exists('curl'))) this.skip();
    const folder = await mkdtemp(join(tmpdir(), 'darkroom-curl-'));
    try {
      const file = join(folder, 'large.jpg');
      await writeFile(file, Buffer.alloc(20 * MEBIBYTE));
      const form = ['-s', '-w', '%{http_code}', '-F', `image=@${file}`, '-F', 'scale_factor=0.5'];
      const { stdout } = await run('curl', [...form, `${fixture.address}/upload`]);
      expect(stdout).match(/"code":"PAYLOAD_TOO_LARGE".*413$/);
    } finally {
      await rm(folder, { recursive: true });
    }
  });

  it('is read by a Python client that sends its whole body first', async function () {
    if (!(await exists('python3'))) this.skip();
    const where = [fixture.host, String(fixture.port), String(20 * MEBIBYTE)];
    const { stdout } = await run('python3', ['-c', PYTHON_CLIENT, ...where]);
    expect(stdout.trim()).equal('413');
  });
});
