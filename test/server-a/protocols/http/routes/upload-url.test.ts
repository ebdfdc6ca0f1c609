import { expect } from 'chai';
import { type PictureServer, startPictureServer } from '../../../../support/picture-server.ts';
import {
  ask,
  expectNothingLeft,
  type Fixture,
  jpeg,
  postForm,
  postRaw,
  problemOf,
  startFixture,
  taskOf,
} from '../http-fixture.ts';

describe('POST /upload with a URL', () => {
  let fixture: Fixture;
  let server: PictureServer;
  let picture: Buffer;

  before(async () => {
    picture = await jpeg();
    server = await startPictureServer(picture);
    fixture = await startFixture();
  });
  after(async () => {
    await fixture.stop();
    await server.close();
  });

  async function ended(id: string) {
    return taskOf(await ask(fixture, { path: `/status/${id}?wait=10` }));
  }

  for (const [how, send] of [
    [
      'a form',
      (url: string) =>
        postForm(fixture, [
          ['url', url],
          ['scale_factor', '0.5'],
        ]),
    ],
    [
      'the query',
      (url: string) =>
        ask(fixture, { method: 'POST', path: `/upload?scale_factor=0.5&url=${encodeURIComponent(url)}` }),
    ],
  ] as const) {
    it(`makes a task for the picture at a url in ${how}`, async () => {
      const url = `${server.address}/cats/cat.jpg?a=b&c=d`;
      const answer = await send(url);
      const task = taskOf(answer);
      expect(answer.status).to.equal(202);
      expect(answer.headers).to.include({ location: `/status/${task.task_id}`, 'retry-after': '1' });
      expect(task.input).to.include({ source_url: url, format: null, filename: null });
      while (fixture.tasks.get(task.task_id).input.format === null) await new Promise(setImmediate);
      const job = await fixture.tasks.records.begin(task.task_id);
      expect(job?.specs).to.deep.equal([
        { name: 'resize', operation: 'resize', scale_factor: 0.5 },
        { name: 'classify', operation: 'classify', top_k: 5 },
      ]);
      expect(fixture.tasks.get(task.task_id).input).to.include({ filename: 'cat.jpg', bytes: picture.length });
      await fixture.tasks.cancel(task.task_id);
    });
  }

  it('fails the task for an invalid URL, and for a URL without a picture', async () => {
    for (const [url, code] of [
      ['nothing', 'BAD_REQUEST'],
      ['file:///etc/passwd', 'URL_NOT_ALLOWED'],
      [`${server.address}/missing`, 'SOURCE_ERROR'],
    ] as const) {
      const answer = await postForm(fixture, [
        ['url', url],
        ['circle', '9'],
      ]);
      expect((await ended(taskOf(answer).task_id)).error?.code).to.equal(code);
    }
  });

  it('refuses a picture together with a url, in any order, and a url without an operation', async () => {
    const url = ['url', `${server.address}/a.jpg`] as const;
    const image = ['image', picture, 'a.jpg'] as const;
    const half = ['scale_factor', '0.5'] as const;
    for (const answer of [
      await postForm(fixture, [url, half, image]),
      await postForm(fixture, [half, image, url]),
      await postRaw(fixture, `?scale_factor=0.5&url=${server.address}/a.jpg`, picture),
    ]) {
      expect(problemOf(answer).detail).to.equal('Expected image or url, received both');
    }
    for (const parts of [[url], [url, url, half], [['url', ''], half]] as const) {
      expect(problemOf(await postForm(fixture, parts)).code).to.equal('BAD_REQUEST');
    }
    await expectNothingLeft(fixture);
  });
});
