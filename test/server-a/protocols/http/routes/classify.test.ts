import { expect } from 'chai';
import { z } from 'zod';
import { taskSchema } from '../../../../../shared/task.ts';
import { ask, type Fixture, problemOf, startFixture } from '../http-fixture.ts';

const answerSchema = z.strictObject({
  status: z.literal('received'),
  num_urls: z.int(),
  tasks: z.array(taskSchema),
});

describe('POST /classify', () => {
  let fixture: Fixture;

  async function start(): Promise<void> {
    fixture = await startFixture({ allowPrivateUrls: false });
  }

  function post(body: string, type = 'application/json') {
    return ask(fixture, {
      method: 'POST',
      path: '/classify',
      headers: { 'Content-Type': type },
      body: Buffer.from(body),
    });
  }

  async function accepted(body: unknown) {
    const { status, body: bytes } = await post(JSON.stringify(body));
    expect(status).to.equal(202);
    return answerSchema.parse(JSON.parse(bytes.toString()));
  }

  describe('accepts', () => {
    before(start);
    after(() => fixture.stop());

    it('answers 202 and one task for each URL, in order, and two tasks for a URL listed twice', async () => {
      const urls = ['http://127.0.0.1:9/a.png', 'nothing', 'http://127.0.0.1:9/a.png'];
      const { num_urls, tasks } = await accepted({ urls });
      expect(num_urls).to.equal(3);
      expect(tasks.map(({ input }) => input.source_url)).to.deep.equal(urls);
      expect(tasks.map(({ status }) => status)).to.deep.equal(['pending', 'pending', 'pending']);
      for (const [index, code] of ['URL_NOT_ALLOWED', 'BAD_REQUEST', 'URL_NOT_ALLOWED'].entries()) {
        const shown = await ask(fixture, { path: `/status/${tasks[index]?.task_id}?wait=10` });
        expect(taskSchema.parse(JSON.parse(shown.body.toString())).error?.code).to.equal(code);
      }
    });

    it('treats a missing list as an empty one', async () => {
      expect(await accepted({})).to.deep.equal({ status: 'received', num_urls: 0, tasks: [] });
      expect((await accepted({ urls: [], other: 1 })).num_urls).to.equal(0);
    });

    it('accepts 10,000 URLs and no more', async () => {
      const urls = Array.from({ length: 10_000 }, (_, index) => `no URL ${index}`);
      expect((await accepted({ urls })).tasks.length).to.equal(10_000);
      const problem = problemOf(await post(JSON.stringify({ urls: [...urls, 'one more'] })));
      expect(problem.detail).to.equal("Expected a list of at most 10000 texts for urls, received '10001 entries'");
    });
  });

  describe('refuses', () => {
    before(start);
    after(() => fixture.stop());

    for (const [what, body, code] of [
      ['invalid JSON', '{"urls":[', 'BAD_REQUEST'],
      ['an array as the body', '["http://a/"]', 'BAD_REQUEST'],
      ['a text for urls', '{"urls":"http://a/"}', 'BAD_REQUEST'],
      ['an entry that is not a text', '{"urls":["http://a/",7]}', 'BAD_REQUEST'],
      ['too many bytes', `{"urls":["${'x'.repeat(9 * 1024 * 1024)}"]}`, 'PAYLOAD_TOO_LARGE'],
    ] as const) {
      it(`${what}, and makes no task`, async () => {
        expect(problemOf(await post(body)).code).to.equal(code);
        expect(fixture.tasks.counts().pending).to.equal(0);
      });
    }

    it('a body that is not declared as JSON, and a compressed body', async () => {
      expect(problemOf(await post('{}', 'text/plain')).code).to.equal('UNSUPPORTED_MEDIA_TYPE');
      const headers = { 'Content-Type': 'application/json', 'Content-Encoding': 'gzip' };
      const answer = await ask(fixture, { method: 'POST', path: '/classify', headers, body: Buffer.from('{}') });
      expect(problemOf(answer).code).to.equal('UNSUPPORTED_MEDIA_TYPE');
    });
  });

  it('refuses a list without room', async () => {
    fixture = await startFixture({ maxListed: 2 });
    const answer = await post(JSON.stringify({ urls: ['a', 'b', 'c'] }));
    expect(problemOf(answer).code).to.equal('QUEUE_FULL');
    expect(answer.headers['retry-after']).to.equal('1');
    await fixture.stop();
  });
});
