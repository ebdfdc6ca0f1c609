import { createHash } from 'node:crypto';
import { expect } from 'chai';
import { bytes, gifFrame, gifStart } from '../../../../support/hand-made.ts';
import { tiffOf } from '../../../../support/hand-made-tiff.ts';
import { beginJob, readInput } from '../../../tasks/support.ts';
import {
  ask,
  type Fixture,
  FORM_TYPE,
  formBytes,
  jpeg,
  postForm,
  postRaw,
  problemOf,
  startFixture,
  taskOf,
} from '../http-fixture.ts';
import { requestPieces } from '../raw-client.ts';

describe('POST /upload', () => {
  let fixture: Fixture;
  let picture: Buffer;

  before(async () => {
    fixture = await startFixture();
    picture = await jpeg();
  });

  after(() => fixture.stop());

  for (const [order, parts] of [
    ['the picture first', () => [['image', picture, 'cat.jpg'] as const, ['scale_factor', '0.5'] as const]],
    ['the field first', () => [['scale_factor', '0.5'] as const, ['image', picture, 'cat.jpg'] as const]],
  ] as const) {
    it(`answers with a task for a form with ${order}`, async () => {
      const answer = await postForm(fixture, parts());
      expect(answer.status).equal(202);
      const task = taskOf(answer);
      expect(answer.headers).include({
        location: `/status/${task.task_id}`,
        'retry-after': '1',
        'content-type': 'application/json; charset=utf-8',
        'cache-control': 'no-store',
        'x-content-type-options': 'nosniff',
      });
      expect(task).include({ status: 'pending', result: null, error: null, attempts: 0 });
      expect(task.input).deep.equal({
        filename: 'cat.jpg',
        source_url: null,
        format: 'jpeg',
        width: 64,
        height: 48,
        frames: 1,
        pages: 1,
        bytes: picture.length,
        sha256: createHash('sha256').update(picture).digest('hex'),
        original: null,
      });
    });
  }

  it('says how many frames and how many pages the picture has', async () => {
    const page = { width: 4, height: 3, samples: new Uint8Array(12), photometric: 1 };
    const animated = bytes(gifStart(4, 4), gifFrame(1, 1), gifFrame(1, 1), gifFrame(1, 1), 0x3b);
    const three = taskOf(await postRaw(fixture, '?width=2', tiffOf(page, page, page), 'image/tiff'));
    expect(three.input).include({ format: 'tiff', frames: 1, pages: 3 });
    const equal = taskOf(await postRaw(fixture, '?width=2', animated, 'image/gif'));
    expect(equal.input).include({ format: 'gif', frames: 3, pages: 1 });
  });

  it('stores exactly the bytes and the operations that were sent', async () => {
    const fields = [
      ['width', '32'],
      ['circle', '16'],
      ['top_k', '3'],
    ] as const;
    const { task_id } = taskOf(await postForm(fixture, [...fields, ['image', picture, 'cat.jpg']]));
    const job = await beginJob(fixture.tasks, task_id);
    expect(await readInput(fixture.tasks, job)).deep.equal(picture);
    expect(job.specs).deep.equal([
      { name: 'resize', operation: 'resize', width: 32 },
      { name: 'circle', operation: 'circle', size: 16, format: 'png' },
      { name: 'classify', operation: 'classify', top_k: 3 },
    ]);
  });

  for (const type of ['image/jpeg', 'IMAGE/PNG', 'image/x-unknown; q=1', 'application/octet-stream']) {
    it(`accepts a raw ${type} body with the fields in the query`, async () => {
      const answer = await postRaw(fixture, '?scale_factor=.5&classify=false', picture, type);
      expect(answer.status).equal(202);
      const { task_id, input } = taskOf(answer);
      expect(input).include({ filename: null, format: 'jpeg', bytes: picture.length });
      expect((await fixture.tasks.records.begin(task_id))?.specs).deep.equal([
        { name: 'resize', operation: 'resize', scale_factor: 0.5 },
      ]);
    });
  }

  for (const [query, header, filename] of [
    ['&filename=cat.jpg', '', 'cat.jpg'],
    ['&filename=a%2Fb%5C%E8%B2%93%0A.jpg', 'attachment; filename="other.jpg"', '貓.jpg'],
    ['&filename=', 'attachment; filename="cat photo.jpg"', 'cat photo.jpg'],
    ['', 'inline; filename=cat.jpg', 'cat.jpg'],
    ['', 'attachment; filename="x.jpg"; filename*=UTF-8\'\'%E8%B2%93.jpg', '貓.jpg'],
    ['', "attachment; filename*=iso-8859-1'en'caf%E9.jpg", 'café.jpg'],
    ['', 'attachment; filename="a\\"b.jpg"', 'a"b.jpg'],
    ['', 'attachment; filename="../../etc/passwd"', 'passwd'],
    ['', 'attachment', null],
    ['', ';;;=', null],
  ] as const) {
    it(`takes ${filename} as the name of a raw body for ${query} and ${header}`, async () => {
      const headers = { 'Content-Type': 'image/jpeg', ...(header === '' ? {} : { 'Content-Disposition': header }) };
      const path = `/upload?circle=8${query}`;
      const { status, body } = await ask(fixture, { method: 'POST', path, headers, body: picture });
      expect(status, body.toString()).equal(202);
      expect(JSON.parse(body.toString()).input.filename).equal(filename);
    });
  }

  it('refuses two names of a raw body, and a name in the query beside a form', async () => {
    const twice = problemOf(await postRaw(fixture, '?circle=8&filename=a&filename=b', picture));
    expect(twice.detail).equal('Expected one value for filename, received ["a","b"]');
    const headers = { 'Content-Type': FORM_TYPE };
    const body = formBytes([['image', picture, 'a.jpg']]);
    const beside = await ask(fixture, { method: 'POST', path: '/upload?filename=b', headers, body });
    expect(problemOf(beside).detail).match(/received 'filename'$/);
  });

  it('accepts a raw body of unknown length', async () => {
    const headers = { 'Content-Type': 'image/jpeg', 'Transfer-Encoding': 'chunked' };
    const answer = await ask(fixture, { method: 'POST', path: '/upload?circle=8', headers, body: picture });
    expect(answer.status).equal(202);
    expect(taskOf(answer).input.bytes).equal(picture.length);
  });

  it('accepts a form in single bytes and in pieces of odd sizes', async () => {
    const body = formBytes([
      ['image', await jpeg(8, 8), 'tiny.jpg'],
      ['scale_factor', '2'],
    ]);
    for (const size of [1, 7]) {
      const answer = await requestPieces(fixture, FORM_TYPE, body, size);
      expect(answer).match(/^HTTP\/1\.1 202 /);
    }
  });

  it('stores a file name in any script, and only the last part of a path', async () => {
    const named = async (filename: string) => {
      const answer = await postForm(fixture, [
        ['image', picture, filename],
        ['scale_factor', '1'],
      ]);
      return taskOf(answer).input.filename;
    };
    expect(await named('猫 “Käthe”.jpg')).equal('猫 “Käthe”.jpg');
    expect(await named('../../etc/passwd')).equal('passwd');
    expect((await named(`${'é'.repeat(400)}.jpg`))?.length).equal(255);
  });

  it('accepts a picture part without Content-Type', async () => {
    const body = Buffer.concat([
      Buffer.from('--b\r\nContent-Disposition: form-data; name="image"; filename="a.jpg"\r\n\r\n'),
      picture,
      Buffer.from('\r\n--b\r\nContent-Disposition: form-data; name="circle"\r\n\r\n9\r\n--b--'),
    ]);
    const headers = { 'Content-Type': 'multipart/form-data; boundary="b"' };
    expect((await ask(fixture, { method: 'POST', path: '/upload', headers, body })).status).equal(202);
  });

  it('accepts a truncated JPEG, because only decoding detects that', async () => {
    const answer = await postRaw(fixture, '?circle=8', (await jpeg(200, 200)).subarray(0, 2000));
    expect(answer.status).equal(202);
  });

  describe('with a wait', () => {
    it('answers 200 when the task ends in time', async () => {
      const upload = postRaw(fixture, '?classify=true&wait=30', picture);
      await failNext(fixture);
      const answer = await upload;
      expect(answer.status).equal(200);
      expect(taskOf(answer).status).equal('failed');
      expect(answer.headers).not.property('retry-after');
      expect(answer.headers).not.property('preference-applied');
      expect(answer.headers.location).equal(`/status/${taskOf(answer).task_id}`);
    });

    it('waits as Prefer asks, and confirms it in Preference-Applied', async () => {
      const parts = [['image', picture, 'cat.jpg'] as const, ['scale_factor', '0.5'] as const];
      const upload = postForm(fixture, parts, { Prefer: 'respond-async, wait=30' });
      await failNext(fixture);
      const answer = await upload;
      expect(answer.status).equal(200);
      expect(answer.headers['preference-applied']).equal('wait=30');
    });

    it('answers 202 when the time runs out first', async () => {
      const answer = await postRaw(fixture, '?classify=true&wait=0', picture);
      expect(answer.status).equal(202);
      expect(taskOf(answer).status).equal('pending');
    });

    it('reduces a longer Prefer to 60 seconds', async () => {
      const upload = ask(fixture, {
        method: 'POST',
        path: '/upload?classify=true',
        headers: { 'Content-Type': 'image/jpeg', Prefer: 'wait=1000' },
        body: picture,
      });
      await failNext(fixture);
      expect((await upload).headers['preference-applied']).equal('wait=60');
    });

    it('reduces a longer ?wait, too', async () => {
      const upload = postRaw(fixture, '?circle=9&wait=1000', picture);
      await failNext(fixture);
      expect((await upload).status).equal(200);
    });

    it('ignores an invalid Prefer', async () => {
      const headers = { 'Content-Type': 'image/jpeg', Prefer: 'wait=soon' };
      const answer = await ask(fixture, { method: 'POST', path: '/upload?circle=9', headers, body: picture });
      expect(answer.status).equal(202);
      expect(answer.headers).not.property('preference-applied');
    });

    for (const wait of ['-1', '1.5', 'soon', '', '1&wait=2']) {
      it(`refuses wait=${wait} in the query`, async () => {
        const problem = problemOf(await postRaw(fixture, `?circle=9&wait=${wait}`, picture));
        expect(problem).include({ status: 400, code: 'BAD_REQUEST' });
        expect(problem.detail).contain('Expected whole seconds for wait, received');
      });
    }
  });

  describe('without room', () => {
    it('answers 429 with Retry-After when the queue is full, and accepts the next upload when there is room', async () => {
      const small = await startFixture({ maxQueued: 1 });
      try {
        const { task_id } = taskOf(await postRaw(small, '?circle=9', picture));
        const refused = await postRaw(small, '?circle=9', picture);
        expect(problemOf(refused)).include({ status: 429, code: 'QUEUE_FULL', title: 'Too Many Requests' });
        expect(refused.headers['retry-after']).equal('1');
        await small.tasks.cancel(task_id);
        expect((await postRaw(small, '?circle=9', picture)).status).equal(202);
      } finally {
        await small.stop();
      }
    });

    it('answers 503 during shutdown', async () => {
      const stopping = await startFixture();
      try {
        stopping.tasks.drain();
        const refused = await postRaw(stopping, '?circle=9', picture);
        expect(problemOf(refused)).include({ status: 503, code: 'DRAINING' });
        expect(stopping.lines.filter((line) => line['msg'] === 'could not serve an HTTP request')).length(1);
      } finally {
        await stopping.stop();
      }
    });
  });

  /** Waits until the newest task is watched, then fails it like the dispatcher. */
  async function failNext({ tasks }: Fixture): Promise<void> {
    const known = new Set(tasks.records.waiting().map((task) => task.id));
    for (;;) {
      const id = tasks.records.waiting().find((task) => !known.has(task.id))?.id;
      const job = id === undefined ? null : await tasks.records.begin(id);
      if (job !== null) {
        await tasks.records.fail(job, { code: 'TIMEOUT', message: 'too slow' });
        return;
      }
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  }
});
