import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { readdir, readlink, rm } from 'node:fs/promises';
import { expect } from 'chai';
import type { OperationName } from '../../../../../shared/operations/index.ts';
import type { OutputHeader } from '../../../../../shared/task.ts';
import { type Answer, ask, type Fixture, jpeg, postForm, problemOf, startFixture, taskOf } from '../http-fixture.ts';
import { RawClient } from '../raw-client.ts';

const NOBODY = 'V1StGXR8_Z5jdHi6B-myT';

describe('tasks over HTTP', () => {
  let fixture: Fixture;
  let picture: Buffer;

  before(async () => {
    fixture = await startFixture();
    picture = await jpeg();
  });

  after(() => fixture.stop());

  const get = (path: string, headers: Record<string, string> = {}) => ask(fixture, { path, headers });

  /** Uploads a picture; gives the task's id. */
  async function submit(filename = 'cat.jpg'): Promise<string> {
    const parts = [['image', picture, filename] as const, ['circle', '32'] as const, ['scale_factor', '1'] as const];
    return taskOf(await postForm(fixture, parts)).task_id;
  }

  /** Ends a task as Server B might: `bytes` as resize output, labels, and a circle that failed. */
  async function complete(id: string, bytes = picture): Promise<void> {
    const { records } = fixture.tasks;
    const job = await records.begin(id);
    if (job === null) throw new Error('not pending');
    const base = <Name extends OperationName>(name: Name) => ({ name, operation: name });
    const size = { format: 'jpeg' as const, width: 64, height: 48, frames: 1, bytes: bytes.length };
    const resize: OutputHeader = { kind: 'picture', ...base('resize'), ...size };
    const file = await records.createOutput(job, 'resize');
    await file.write(bytes);
    const sha256 = await file.commit();
    const error = { code: 'MODEL_UNAVAILABLE' as const, message: 'Install a model' };
    const labels = [{ index: 281, wnid: 'n02123045', label: 'tabby', probability: 0.76 }];
    const outputs = [
      { header: resize, sha256 },
      { header: { kind: 'failure' as const, ...base('circle'), error }, sha256: null },
      { header: { kind: 'data' as const, ...base('classify'), data: { model: 'm', labels } }, sha256: null },
    ];
    expect(await records.complete(job, outputs, { decode_ms: 9 })).equal(true);
  }

  async function completed(filename?: string, bytes?: Buffer): Promise<string> {
    const id = await submit(filename);
    await complete(id, bytes);
    return id;
  }

  describe('GET /status/<id>', () => {
    it('answers the record, pending, completed, failed or canceled', async () => {
      const id = await submit();
      expect(taskOf(await get(`/status/${id}`))).include({ status: 'pending', result: null });
      await complete(id);
      const answer = await get(`/status/${id}`);
      expect(answer.status).equal(200);
      expect(taskOf(answer)).include({ status: 'completed', result: `/result/${id}` });

      const failing = await submit();
      const job = await fixture.tasks.records.begin(failing);
      expect(taskOf(await get(`/status/${failing}`)).status).equal('processing');
      if (job !== null) await fixture.tasks.records.fail(job, { code: 'TIMEOUT', message: 'too slow' });
      const failed = await get(`/status/${failing}`);
      expect(failed.status).equal(200);
      expect(taskOf(failed).error).deep.equal({ code: 'TIMEOUT', message: 'too slow' });
    });

    it('answers HEAD without a body', async () => {
      const path = `/status/${await submit()}`;
      const answer = await ask(fixture, { method: 'HEAD', path });
      expect(answer.status).equal(200);
      expect(Number(answer.headers['content-length'])).equal((await get(path)).body.length);
      expect(answer.body).length(0);
    });

    it('waits for the end, by Prefer and by the query', async () => {
      for (const [query, headers] of [
        ['', { Prefer: 'wait=30' }],
        ['?wait=30', {}],
      ] as const) {
        const id = await submit();
        const waiting = get(`/status/${id}${query}`, headers);
        await complete(id);
        expect(taskOf(await waiting).status).equal('completed');
      }
    });

    it('ignores what else is in the query', async () => {
      expect((await get(`/status/${await submit()}?_=123`)).status).equal(200);
    });

    for (const method of ['GET', 'DELETE']) {
      it(`answers 404 to ${method} of an unknown id`, async () => {
        const problem = problemOf(await ask(fixture, { method, path: `/status/${NOBODY}` }));
        expect(problem).include({ status: 404, code: 'TASK_NOT_FOUND', title: 'Not Found' });
      });
    }

    const odd = [
      '..',
      '.',
      '%2e%2e%2f%2e%2e%2fetc%2fpasswd',
      '%00',
      `${NOBODY}%00`,
      `${NOBODY}%0a`,
      '%',
      '%zz',
      '%ff%fe',
      'caf%C3%A9',
      '%F0%9F%90%88',
      'a%20b',
      "'%20OR%201=1--",
      '__proto__',
      'constructor',
      '*',
      'x'.repeat(10_000),
    ];
    for (const id of odd) {
      it(`answers 404 to the id ${id.slice(0, 40)}`, async () => {
        for (const path of [`/status/${id}`, `/result/${id}`, `/result/${id}/resize`]) {
          expect(problemOf(await get(path))).include({ status: 404, code: 'TASK_NOT_FOUND' });
        }
        const deletion = await ask(fixture, { method: 'DELETE', path: `/status/${id}` });
        expect(problemOf(deletion)).include({ status: 404, code: 'TASK_NOT_FOUND' });
      });
    }
  });

  describe('DELETE /status/<id>', () => {
    const remove = (id: string) => ask(fixture, { method: 'DELETE', path: `/status/${id}` });

    it('cancels a task that waits', async () => {
      const id = await submit();
      const answer = await remove(id);
      expect(answer.status).equal(200);
      expect(taskOf(answer).status).equal('canceled');
      expect(taskOf(await get(`/status/${id}`)).status).equal('canceled');
      const result = await get(`/result/${id}`);
      expect(problemOf(result)).include({ status: 499, code: 'CANCELED', title: 'Client Closed Request', task_id: id });
    });

    it('forgets a task that has ended, which is then unknown', async () => {
      const id = await completed();
      const answer = await remove(id);
      expect(answer.status).equal(204);
      expect(answer.body).length(0);
      expect(problemOf(await get(`/status/${id}`)).code).equal('TASK_NOT_FOUND');
      expect(problemOf(await get(`/result/${id}`)).code).equal('TASK_NOT_FOUND');
      expect(problemOf(await remove(id)).code).equal('TASK_NOT_FOUND');
      expect((await fixture.spool()).filter((name) => name.startsWith(id))).deep.equal([]);
    });
  });

  describe('GET /result/<id>', () => {
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

    it('answers the first picture, and each by its name', async () => {
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
      it(`answers 404 to the output ${name.slice(0, 20)}`, async () => {
        expect(problemOf(await get(`/result/${await completed()}/${name}`))).include({
          status: 404,
          code: 'NOT_FOUND',
        });
      });
    }

    it('answers 410 when the result has expired, while the record stays', async () => {
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

    it('answers 500 and logs it when the file is gone, without a word of where it was', async () => {
      const id = await completed();
      const result = await fixture.tasks.result(id);
      if (result.kind === 'picture') await rm(result.path);
      const answer = await get(`/result/${id}`);
      expect(problemOf(answer)).include({ status: 500, code: 'SPOOL_CORRUPT' });
      expect(answer.body.toString()).not.match(/spool\/|\/tmp/);
      expect(fixture.lines.some((line) => line['task_id'] === id && Number(line['level']) >= 40)).equal(true);
    });

    it('answers 404 when the task is forgotten between the look-up and the opening of its file', async () => {
      const id = await completed();
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

    it('answers 304 to a client that has it', async () => {
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

    it('answers one range', async () => {
      const path = `/result/${await completed()}`;
      const answer = await get(path, { Range: 'bytes=10-19' });
      expect(answer.status).equal(206);
      expect(answer.body.equals(picture.subarray(10, 20))).equal(true);
      expect(answer.headers).include({ 'content-range': `bytes 10-19/${picture.length}`, 'content-length': '10' });
      const { etag = '' } = answer.headers;
      expect((await get(path, { Range: 'bytes=-5', 'If-Range': etag })).body.equals(picture.subarray(-5))).equal(true);
      expect((await get(path, { Range: 'bytes=-5', 'If-Range': '"other"' })).status).equal(200);
      expect((await get(path, { Range: 'bytes=0-1,3-4' })).status).equal(200);
    });

    it('answers 416 to a range that is not there', async () => {
      const answer = await get(`/result/${await completed()}`, { Range: `bytes=${picture.length}-` });
      expect(problemOf(answer)).include({ status: 416, code: 'RANGE_NOT_SATISFIABLE' });
      expect(answer.headers['content-range']).equal(`bytes */${picture.length}`);
    });

    it('suggests a file name that harms nobody', async () => {
      for (const [filename, shown] of [
        ['cat.jpg', 'inline; filename="cat-resize.jpeg"'],
        ['猫.jpg', 'inline; filename="?-resize.jpeg"; filename*=UTF-8\'\'%E7%8C%AB-resize.jpeg'],
        ['a%22;b%0d%0aX: y.jpg', 'inline; filename="a_;b__X_ y-resize.jpeg"'],
      ] as const) {
        const { headers } = await get(`/result/${await completed(filename)}`);
        expect(headers['content-disposition']).equal(shown);
      }
    });

    it('keeps no file open when the client goes away', async function () {
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
  });

  /** True while this process has an output of the task open. */
  async function isOpen(id: string): Promise<boolean> {
    const descriptors = await readdir('/proc/self/fd');
    const targets = await Promise.all(descriptors.map((one) => readlink(`/proc/self/fd/${one}`).catch(() => '')));
    return targets.some((target) => target.includes(id));
  }
});
