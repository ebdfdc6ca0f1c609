import { createHash, randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { readdir, readlink } from 'node:fs/promises';
import { expect } from 'chai';
import { SMALL_PICTURE_BYTES } from '../../../../../server-a/pictures/new-picture.ts';
import { losePicture } from '../../../../support/stored-pictures.ts';
import { type Answer, ask, type Fixture, jpeg, postForm, problemOf, startFixture, taskOf } from '../http-fixture.ts';
import { RawClient } from '../raw-client.ts';
import { completeNamed, completeTask, PLACEHOLDER, submitPicture } from './ended-task.ts';

/** Too large to be stored with its record. */
const LARGE = randomBytes(SMALL_PICTURE_BYTES + 1);

describe('GET /result/<id>', () => {
  let fixture: Fixture;
  let picture: Buffer;

  before(async () => {
    fixture = await startFixture();
    picture = await jpeg();
  });

  after(() => fixture.stop());

  const get = (path: string, headers: Record<string, string> = {}) => ask(fixture, { path, headers });
  const submit = (filename?: string) => submitPicture(fixture, picture, filename);
  const complete = (id: string, bytes = picture) => completeTask(fixture, id, bytes);

  async function completed(filename?: string, bytes?: Buffer): Promise<string> {
    const id = await submit(filename);
    await complete(id, bytes);
    return id;
  }

  function expectPicture(answer: Answer): void {
    expect(answer.status).equal(200);
    expect(answer.body.equals(picture)).equal(true);
    expect(answer.headers).include({
      'content-type': 'image/jpeg',
      'content-length': String(picture.length),
      etag: `"${createHash('sha256').update(picture).digest('hex')}"`,
      'x-content-type-options': 'nosniff',
      'cache-control': 'private, no-cache',
      'accept-ranges': 'bytes',
    });
  }

  it('answers the first picture in the list, and each output by its name', async () => {
    const outputs = ['hash', 'large', 'small'].map((name, index) => {
      return index === 0 ? { name, operation: 'placeholder' } : { name, width: 64 / index };
    });
    const parts = [['image', picture, 'cat.jpg'] as const, ['outputs', JSON.stringify(outputs)] as const];
    const { task_id: id } = taskOf(await postForm(fixture, parts));
    const pictures = await completeNamed(fixture, id);
    const { result, outputs: done } = taskOf(await get(`/status/${id}`));
    expect(result).equal(`/result/${id}`);
    expect(done.map((output) => output.url ?? null)).deep.equal([null, `/result/${id}/large`, `/result/${id}/small`]);
    expect((await get(`/result/${id}`)).body.equals(pictures.large)).equal(true);
    expect((await get(`/result/${id}/large`)).body.equals(pictures.large)).equal(true);
    const small = await get(`/result/${id}/small`);
    expect(small.body.equals(pictures.small)).equal(true);
    expect(small.headers['content-disposition']).equal('inline; filename="cat-small.jpeg"');
    expect(JSON.parse((await get(`/result/${id}/hash`)).body.toString())).deep.equal({
      name: 'hash',
      operation: 'placeholder',
      status: 'completed',
      ...PLACEHOLDER,
    });
    expect(problemOf(await get(`/result/${id}/resize`))).include({ status: 404, code: 'NOT_FOUND' });
  });

  it('answers the resize, and each output by its name', async () => {
    const id = await completed();
    expectPicture(await get(`/result/${id}`));
    expectPicture(await get(`/result/${id}/resize`));
  });

  it('answers labels as JSON', async () => {
    const answer = await get(`/result/${await completed()}/classify`);
    expect(answer.headers['content-type']).equal('application/json; charset=utf-8');
    expect(JSON.parse(answer.body.toString())).deep.include({ status: 'completed', model: 'm' }).property('labels');
  });

  it("answers a failed output's own error", async () => {
    const id = await completed();
    const answer = await get(`/result/${id}/circle`);
    expect(problemOf(answer)).include({ status: 503, code: 'MODEL_UNAVAILABLE', task_id: id });
    expect(answer.headers).include({ 'cache-control': 'no-store' }).not.property('etag');
  });

  it("answers a failed task's own error", async () => {
    const id = await submit();
    const job = await fixture.tasks.records.begin(id);
    if (job !== null) await fixture.tasks.records.fail(job, { code: 'IMAGE_CORRUPT', message: 'no picture' });
    expect(problemOf(await get(`/result/${id}`))).include({
      status: 422,
      code: 'IMAGE_CORRUPT',
      detail: 'no picture',
    });
  });

  it('answers 409 with Retry-After before the end', async () => {
    const answer = await get(`/result/${await submit()}`);
    expect(problemOf(answer)).include({ status: 409, code: 'NOT_READY' });
    expect(answer.headers['retry-after']).equal('1');
  });

  for (const name of ['nope', '__proto__', '%00', '..%2F..', 'x'.repeat(5000)]) {
    it(`answers 404 for the output ${name.slice(0, 20)}`, async () => {
      expect(problemOf(await get(`/result/${await completed()}/${name}`))).include({
        status: 404,
        code: 'NOT_FOUND',
      });
    });
  }

  it('answers 410 when the result has expired and the record is still kept', async () => {
    const brief = await startFixture({ keepHours: 1e-9 });
    const before = fixture;
    fixture = brief;
    try {
      const id = await completed();
      expect(problemOf(await get(`/result/${id}`))).include({ status: 410, code: 'EXPIRED' });
      expect((await get(`/status/${id}`)).status).equal(200);
    } finally {
      fixture = before;
      await brief.stop();
    }
  });

  it('answers 500 when the file is missing, logs it, and does not reveal its path', async () => {
    const id = await completed();
    await losePicture(fixture.dataDir, `${id}.1.resize`);
    const answer = await get(`/result/${id}`);
    expect(problemOf(answer)).include({ status: 500, code: 'SPOOL_CORRUPT' });
    expect(answer.body.toString()).not.match(/spool\/|\/tmp/);
    expect(fixture.lines.some((line) => line['task_id'] === id && Number(line['level']) >= 40)).equal(true);
  });

  it('answers 404 when the task is forgotten just before its file is opened', async () => {
    const id = await completed('large.jpg', LARGE);
    const { tasks } = fixture;
    const look = tasks.result.bind(tasks);
    tasks.result = async (...request) => {
      const result = await look(...request);
      await tasks.forget(id);
      return result;
    };
    try {
      expect(problemOf(await get(`/result/${id}`))).include({ status: 404, code: 'TASK_NOT_FOUND' });
    } finally {
      tasks.result = look;
    }
  });

  it('answers HEAD with the same headers', async () => {
    const path = `/result/${await completed()}`;
    const { headers, status, body } = await ask(fixture, { method: 'HEAD', path });
    expect(status).equal(200);
    expect(headers).include({ 'content-length': String(picture.length), 'content-type': 'image/jpeg' });
    expect(headers.etag).equal((await get(path)).headers.etag);
    expect(body).length(0);
  });

  it('answers 304 to a client that has the picture', async () => {
    const path = `/result/${await completed()}`;
    const { etag = '' } = (await get(path)).headers;
    for (const tags of [etag, `W/${etag}`, `"other", ${etag}`, '*']) {
      const answer = await get(path, { 'If-None-Match': tags, Range: 'bytes=99999999-' });
      expect(answer.status, tags).equal(304);
      expect(answer.headers.etag).equal(etag);
      expect(answer.body).length(0);
    }
    expect((await get(path, { 'If-None-Match': '"other"' })).status).equal(200);
  });

  for (const [what, bytesOf] of [
    ['a small picture', () => picture],
    ['a file', () => LARGE],
  ] as const) {
    it(`answers ${what}, and one range of it`, async () => {
      const bytes = bytesOf();
      const path = `/result/${await completed('cat.jpg', bytes)}`;
      expect((await get(path)).body.equals(bytes)).equal(true);
      const answer = await get(path, { Range: 'bytes=10-19' });
      expect(answer.status).equal(206);
      expect(answer.body.equals(bytes.subarray(10, 20))).equal(true);
      expect(answer.headers).include({ 'content-range': `bytes 10-19/${bytes.length}`, 'content-length': '10' });
      const { etag = '' } = answer.headers;
      expect((await get(path, { Range: 'bytes=-5', 'If-Range': etag })).body.equals(bytes.subarray(-5))).equal(true);
      expect((await get(path, { Range: 'bytes=-5', 'If-Range': '"other"' })).status).equal(200);
      expect((await get(path, { Range: 'bytes=0-1,3-4' })).status).equal(200);
    });
  }

  it('answers 416 for a range beyond the end', async () => {
    const answer = await get(`/result/${await completed()}`, { Range: `bytes=${picture.length}-` });
    expect(problemOf(answer)).include({ status: 416, code: 'RANGE_NOT_SATISFIABLE' });
    expect(answer.headers['content-range']).equal(`bytes */${picture.length}`);
  });

  it('suggests a safe file name', async () => {
    for (const [filename, shown] of [
      ['cat.jpg', 'inline; filename="cat-resize.jpeg"'],
      ['猫.jpg', 'inline; filename="?-resize.jpeg"; filename*=UTF-8\'\'%E7%8C%AB-resize.jpeg'],
      ['a%22;b%0d%0aX: y.jpg', 'inline; filename="a_;b__X_ y-resize.jpeg"'],
    ] as const) {
      const { headers } = await get(`/result/${await completed(filename)}`);
      expect(headers['content-disposition']).equal(shown);
    }
  });

  it('closes the file when the client disconnects', async function () {
    if (!existsSync('/proc/self/fd')) this.skip();
    const large = Buffer.alloc(20_000_000);
    const id = await completed('large.jpg', large);
    const client = new RawClient(fixture);
    client.socket.pause();
    await client.write(`GET /result/${id} HTTP/1.1\r\nHost: a\r\n\r\n`);
    while (!(await isOpen(id))) await new Promise((resolve) => setTimeout(resolve, 5));
    client.socket.destroy();
    while (await isOpen(id)) await new Promise((resolve) => setTimeout(resolve, 5));
  });

  /** True while this process has an output of the task open. */
  async function isOpen(id: string): Promise<boolean> {
    const descriptors = await readdir('/proc/self/fd');
    const targets = await Promise.all(descriptors.map((one) => readlink(`/proc/self/fd/${one}`).catch(() => '')));
    return targets.some((target) => target.includes(id));
  }
});
