import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'chai';
import { pino } from 'pino';
import { createApp } from '../../../../server-a/protocols/http/app.ts';
import { listen } from '../../../../server-a/protocols/http/server.ts';
import { Presets } from '../../../../server-a/tasks/presets.ts';
import { replacing } from '../../tasks/support.ts';
import { ask, type Fixture, jpeg, postRaw, problemOf, startFixture, taskOf } from './http-fixture.ts';
import { RawClient } from './raw-client.ts';

describe('HTTP application', () => {
  let fixture: Fixture;

  before(async () => {
    fixture = await startFixture();
  });

  after(() => fixture.stop());

  for (const path of [
    '/',
    '/nope',
    '/upload/more',
    '/status',
    '/status/',
    '/status/a/b',
    '/UPLOAD',
    '//',
    '/result/',
  ]) {
    it(`answers 404 to the unknown route ${path}`, async () => {
      const problem = problemOf(await ask(fixture, { path }));
      expect(problem).include({ status: 404, code: 'NOT_FOUND' });
      expect(problem).not.property('task_id');
    });
  }

  for (const [method, path, allow] of [
    ['GET', '/upload', 'POST, OPTIONS'],
    ['PUT', '/upload', 'POST, OPTIONS'],
    ['POST', '/status/x', 'HEAD, GET, DELETE, OPTIONS'],
    ['PATCH', '/result/x', 'HEAD, GET, OPTIONS'],
    ['DELETE', '/result/x/resize', 'HEAD, GET, OPTIONS'],
    ['POST', '/livez', 'HEAD, GET, OPTIONS'],
    ['PROPFIND', '/upload', 'POST, OPTIONS'],
  ] as const) {
    it(`answers 405 to ${method} ${path}`, async () => {
      const answer = await ask(fixture, { method, path });
      expect(problemOf(answer)).include({ status: 405, code: 'METHOD_NOT_ALLOWED' });
      expect(answer.headers.allow).equal(allow);
    });
  }

  it('answers OPTIONS with the methods', async () => {
    const answer = await ask(fixture, { method: 'OPTIONS', path: '/upload' });
    expect(answer.status).equal(204);
    expect(answer.headers.allow).equal('POST, OPTIONS');
    expect(problemOf(await ask(fixture, { method: 'OPTIONS', path: '/nope' })).code).equal('NOT_FOUND');
  });

  it('logs an unexpected error, and does not reveal it to the client', async () => {
    const broken = await startFixture();
    try {
      const { task_id } = taskOf(await postRaw(broken, '?circle=9', await jpeg()));
      broken.readiness = new Proxy(broken.readiness, {
        get: () => {
          throw new Error('secret at /home/secret');
        },
      });
      const answer = await ask(broken, { path: '/readyz' });
      expect(problemOf(answer)).include({ status: 500, code: 'INTERNAL', title: 'Internal Server Error' });
      expect(answer.body.toString()).not.contain('secret');
      const line = broken.lines.find((one) => one['msg'] === 'an HTTP request failed unexpectedly');
      expect(JSON.stringify(line)).contain('secret at /home/secret');
      expect(task_id).length(21);
    } finally {
      await broken.stop();
    }
  });

  it('logs an unexpected error even after the client has disconnected, but not the disconnection itself', async () => {
    const lines: Record<string, unknown>[] = [];
    const log = pino({ level: 'debug' }, { write: (line: string) => lines.push(JSON.parse(line)) });
    const { task_id } = taskOf(await postRaw(fixture, '?circle=9', await jpeg()));
    const settings = { apiKeys: [], maxUploadMb: 1, maxConnections: 9, requestSeconds: 60, pathRoot: undefined };
    let waits = 0;
    for (const fail of [
      (signal: AbortSignal) => signal.throwIfAborted(),
      () => {
        throw new TypeError('secret');
      },
    ]) {
      const tasks = replacing(fixture.tasks, {
        wait: async (_id, _milliseconds, signal) => {
          waits += 1;
          await once(signal, 'abort');
          fail(signal);
          return fixture.tasks.get(task_id);
        },
      });
      const app = createApp({
        tasks,
        presets: await Presets.load(undefined),
        settings,
        readiness: () => fixture.readiness,
        log,
      });
      const server = await listen(app, { ips: ['127.0.0.1'], ports: [0], settings, log });
      const client = new RawClient({ host: '127.0.0.1', port: Number(new URL(server.address).port) });
      const before = waits;
      await client.write(`GET /status/${task_id}?wait=60 HTTP/1.1\r\nHost: a\r\n\r\n`);
      while (waits === before) await sleep(2);
      client.socket.destroy();
      while (lines.filter(({ finished }) => finished === false).length < waits) await sleep(2);
      await server.close(60_000);
    }
    const failures = lines.filter(({ msg }) => msg !== 'HTTP request ended');
    expect(failures).to.have.length(1);
    expect(failures[0]).to.deep.include({ level: 50, msg: 'an HTTP request failed unexpectedly', task_id });
    expect(JSON.stringify(failures[0])).to.contain('secret');
  });

  it('logs one line for each request at level debug', async () => {
    const { task_id } = taskOf(await postRaw(fixture, '?circle=9', await jpeg()));
    const path = `/status/${task_id}`;
    await ask(fixture, { path });
    const lines = fixture.lines.filter((line) => line['path'] === path);
    expect(lines).length(1);
    expect(lines[0]).include({ level: 20, method: 'GET', status: 200, task_id, msg: 'HTTP request ended' });
    expect(lines[0]?.['milliseconds']).a('number');
  });

  describe('for a web page', () => {
    const foreign = ['http://evil.example', 'null', 'http://127.0.0.1.evil.example', 'http://localhost', 'x', ''];
    for (const origin of foreign) {
      it(`refuses every method but GET, HEAD and OPTIONS when Origin is '${origin}'`, async () => {
        const headers = { Origin: origin };
        for (const [method, path] of [
          ['POST', '/upload?circle=9'],
          ['POST', '/process'],
          ['POST', '/classify'],
          ['PUT', '/snippets/1/'],
          ['DELETE', '/status/V1StGXR8_Z5jdHi6B-myT'],
        ] as const) {
          expect(problemOf(await ask(fixture, { method, path, headers }))).include({
            status: 403,
            code: 'ORIGIN_NOT_ALLOWED',
            detail: `Expected none or the server's own host for Origin, received '${origin}'`,
          });
        }
      });
    }

    it('answers GET and HEAD from a page of another host, because the browser hides the answer from it', async () => {
      const headers = { Origin: 'http://evil.example' };
      for (const method of ['GET', 'HEAD']) {
        const answer = await ask(fixture, { method, path: '/livez', headers });
        expect(answer.status).equal(200);
        expect(answer.headers).not.property('access-control-allow-origin');
      }
      expect((await ask(fixture, { method: 'OPTIONS', path: '/upload', headers })).status).equal(204);
    });

    it('accepts uploads from a page of its own host, on any port', async () => {
      for (const origin of [fixture.address, 'http://127.0.0.1:3000', 'https://127.0.0.1']) {
        const headers = { Origin: origin, 'Content-Type': 'image/jpeg' };
        const answer = await ask(fixture, { method: 'POST', path: '/upload?circle=9', headers, body: await jpeg() });
        expect(answer.status).equal(202);
      }
    });
  });

  describe('health', () => {
    it('answers 200 on /livez', async () => {
      const answer = await ask(fixture, { path: '/livez' });
      expect(answer.status).equal(200);
      expect(JSON.parse(answer.body.toString())).deep.equal({ status: 'live' });
    });

    const up = { store: 'open', lanes: 4, backend: 'up', model: 'mobilenetv2-12-qdq' };
    for (const [what, parts, status, word] of [
      ['store and lanes are up', up, 200, 'ready'],
      ['only the model is missing', { ...up, model: 'unavailable' }, 200, 'ready'],
      ['no lane is up', { ...up, lanes: 0, backend: 'connection refused' }, 503, 'unavailable'],
      ['the store is closing', { ...up, store: 'closing' }, 503, 'unavailable'],
    ] as const) {
      it(`is ${word} when ${what}, and reports each part`, async () => {
        fixture.readiness = parts;
        const answer = await ask(fixture, { path: '/readyz' });
        expect(answer.status).equal(status);
        expect(JSON.parse(answer.body.toString())).deep.equal({ status: word, ...parts });
      });
    }
  });

  describe('with API keys', () => {
    let guarded: Fixture;

    before(async () => {
      guarded = await startFixture({ apiKeys: ['first-key', 'second-key'] });
    });

    after(() => guarded.stop());

    it('requires none for health', async () => {
      expect((await ask(guarded, { path: '/livez' })).status).equal(200);
      expect((await ask(guarded, { path: '/readyz' })).status).equal(200);
    });

    for (const [what, headers] of [
      ['no key', {}],
      ['a wrong key', { Authorization: 'Bearer wrong' }],
      ['a part of a key', { 'X-Api-Key': 'first' }],
      ['an empty key', { 'X-Api-Key': '' }],
      ['another scheme', { Authorization: 'Basic first-key' }],
    ] as const) {
      it(`answers 401 to ${what}, on known and unknown routes`, async () => {
        for (const path of ['/status/V1StGXR8_Z5jdHi6B-myT', '/nope']) {
          const answer = await ask(guarded, { path, headers });
          expect(problemOf(answer)).include({ status: 401, code: 'UNAUTHENTICATED' });
          expect(answer.headers['www-authenticate']).equal('Bearer realm="darkroom"');
          expect(answer.body.toString()).not.contain('first');
        }
      });
    }

    for (const headers of [
      { Authorization: 'Bearer first-key' },
      { Authorization: 'bearer second-key' },
      { 'X-Api-Key': 'second-key' },
      { Authorization: 'Bearer wrong', 'X-Api-Key': 'first-key' },
    ]) {
      it(`accepts ${JSON.stringify(headers)}`, async () => {
        expect(problemOf(await ask(guarded, { path: '/nope', headers })).code).equal('NOT_FOUND');
      });
    }

    it('refuses an upload before its body arrives', async () => {
      const answer = await postRaw(guarded, '?circle=9', Buffer.alloc(900_000));
      expect(problemOf(answer).code).equal('UNAUTHENTICATED');
      expect(await guarded.pictures()).deep.equal([]);
    });
  });
});
