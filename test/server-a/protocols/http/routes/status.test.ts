import { expect } from 'chai';
import { ask, type Fixture, jpeg, problemOf, startFixture, taskOf } from '../http-fixture.ts';
import { completeTask, submitPicture } from './ended-task.ts';

const NOBODY = 'V1StGXR8_Z5jdHi6B-myT';

describe('/status/<id>', () => {
  let fixture: Fixture;
  let picture: Buffer;

  before(async () => {
    fixture = await startFixture();
    picture = await jpeg();
  });

  after(() => fixture.stop());

  const get = (path: string, headers: Record<string, string> = {}) => ask(fixture, { path, headers });
  const submit = () => submitPicture(fixture, picture);
  const complete = (id: string) => completeTask(fixture, id, picture);

  async function completed(): Promise<string> {
    const id = await submit();
    await complete(id);
    return id;
  }

  describe('GET', () => {
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

    it('waits for the end, with Prefer or ?wait', async () => {
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

    it('ignores other fields in the query', async () => {
      expect((await get(`/status/${await submit()}?_=123`)).status).equal(200);
    });

    for (const method of ['GET', 'DELETE']) {
      it(`answers 404 for ${method} with an unknown id`, async () => {
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
      it(`answers 404 for the id ${id.slice(0, 40)}`, async () => {
        for (const path of [`/status/${id}`, `/result/${id}`, `/result/${id}/resize`]) {
          expect(problemOf(await get(path))).include({ status: 404, code: 'TASK_NOT_FOUND' });
        }
        const deletion = await ask(fixture, { method: 'DELETE', path: `/status/${id}` });
        expect(problemOf(deletion)).include({ status: 404, code: 'TASK_NOT_FOUND' });
      });
    }
  });

  describe('DELETE', () => {
    const remove = (id: string) => ask(fixture, { method: 'DELETE', path: `/status/${id}` });

    it('cancels a pending task', async () => {
      const id = await submit();
      const answer = await remove(id);
      expect(answer.status).equal(200);
      expect(taskOf(answer).status).equal('canceled');
      expect(taskOf(await get(`/status/${id}`)).status).equal('canceled');
      const result = await get(`/result/${id}`);
      expect(problemOf(result)).include({ status: 499, code: 'CANCELED', title: 'Client Closed Request', task_id: id });
    });

    it('deletes an ended task; its id is then unknown', async () => {
      const id = await completed();
      const answer = await remove(id);
      expect(answer.status).equal(204);
      expect(answer.body).length(0);
      expect(problemOf(await get(`/status/${id}`)).code).equal('TASK_NOT_FOUND');
      expect(problemOf(await get(`/result/${id}`)).code).equal('TASK_NOT_FOUND');
      expect(problemOf(await remove(id)).code).equal('TASK_NOT_FOUND');
      expect((await fixture.pictures()).filter((name) => name.startsWith(id))).deep.equal([]);
    });
  });
});
