import type { Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'chai';
import { attachEvents, type Events } from '../../../../server-a/protocols/websocket/events.ts';
import { createLogger } from '../../../../shared/log.ts';
import { taskSchema } from '../../../../shared/task.ts';
import { type Fixture, FORM_TYPE, formBytes, jpeg, postRaw, startFixture, taskOf } from '../http/http-fixture.ts';
import { RawClient } from '../http/raw-client.ts';
import { refusalOf, WebSocketClient } from './websocket-client.ts';

const UNKNOWN = 'V1StGXR8_Z5jdHi6B-myT';
const log = createLogger('test', 'silent');

describe('GET /events, upgraded', () => {
  let fixture: Fixture;
  let events: Events;
  let url: string;
  /** Number of open watches. */
  let watched: number;
  const clients: WebSocketClient[] = [];

  async function start(apiKeys: string[] = [], pingMs = 30_000): Promise<void> {
    fixture = await startFixture({ apiKeys });
    watched = 0;
    const tasks = {
      async *watch(id: string, signal: AbortSignal) {
        watched += 1;
        try {
          yield* fixture.tasks.watch(id, signal);
        } finally {
          watched -= 1;
        }
      },
    };
    events = attachEvents(fixture.server.server, { tasks, settings: { apiKeys }, log, pingMs });
    url = `${fixture.address.replace('http', 'ws')}/events`;
  }

  /** Replaces the service by one with other settings. */
  async function restart(apiKeys: string[] = [], pingMs?: number): Promise<void> {
    await stop();
    await start(apiKeys, pingMs);
  }

  async function stop(): Promise<void> {
    await events.close();
    await fixture.stop();
  }

  before(() => start());

  after(stop);

  // Each test begins without clients.
  afterEach(async () => {
    for (const { socket } of clients.splice(0)) socket.terminate();
    while (watched + events.clients > 0) await sleep(5);
  });

  async function open(...words: Parameters<typeof WebSocketClient.open>): Promise<WebSocketClient> {
    const client = await WebSocketClient.open(...words);
    clients.push(client);
    return client;
  }

  async function submit(): Promise<string> {
    return taskOf(await postRaw(fixture, '?scale_factor=0.5&classify=false', await jpeg())).task_id;
  }

  async function nextTask(client: WebSocketClient) {
    return taskSchema.parse(JSON.parse(await client.next()).task);
  }

  it('sends the record at once and after each change, until the task ends', async () => {
    const id = await submit();
    const client = await open(url);
    client.send({ subscribe: [id] });
    expect(await nextTask(client)).to.deep.equal(fixture.tasks.get(id));
    const job = await fixture.tasks.records.begin(id);
    expect(await nextTask(client)).to.include({ task_id: id, status: 'processing', attempts: 1 });
    if (job === null) throw new Error('Expected the task to begin');
    await fixture.tasks.records.fail(job, { code: 'IMAGE_CORRUPT', message: 'It breaks off' });
    expect(await nextTask(client)).to.include({ task_id: id, status: 'failed' });
    await fixture.tasks.forget(id);
    expect(await client.rest()).to.deep.equal([]);
  });

  it('sends the record of an ended task once', async () => {
    const id = await submit();
    await fixture.tasks.cancel(id);
    const client = await open(url);
    client.send({ subscribe: [id] });
    expect(await nextTask(client)).to.include({ task_id: id, status: 'canceled' });
    expect(await client.rest()).to.deep.equal([]);
  });

  it('sends each client its own tasks, even if one message subscribes to several', async () => {
    const [one, two, three] = [await submit(), await submit(), await submit()];
    const [first, second] = [await open(url), await open(url)];
    first.send({ subscribe: [one, two] });
    second.send({ subscribe: [two, three] });
    const told = async (client: WebSocketClient) => [await nextTask(client), await nextTask(client)];
    expect((await told(first)).map(({ task_id }) => task_id)).to.have.members([one, two]);
    expect((await told(second)).map(({ task_id }) => task_id)).to.have.members([two, three]);
    await fixture.tasks.cancel(three);
    expect(await nextTask(second)).to.include({ task_id: three, status: 'canceled' });
    expect(await first.rest()).to.deep.equal([]);
  });

  it('sends nothing more after unsubscribe', async () => {
    const id = await submit();
    const client = await open(url);
    client.send({ subscribe: [id] });
    await nextTask(client);
    client.send({ unsubscribe: [id, UNKNOWN] });
    expect(await client.rest()).to.deep.equal([]);
    await fixture.tasks.cancel(id);
    expect(await client.rest()).to.deep.equal([]);
  });

  it('sends the record again to a client that subscribes again', async () => {
    const id = await submit();
    const client = await open(url);
    client.send({ subscribe: [id] });
    client.send({ subscribe: [id] });
    expect([await nextTask(client), await nextTask(client)].map(({ status }) => status)).to.deep.equal([
      'pending',
      'pending',
    ]);
    await fixture.tasks.cancel(id);
    expect(await nextTask(client)).to.include({ status: 'canceled' });
    expect(await client.rest()).to.deep.equal([]);
  });

  it('sends a problem for each unknown id, and watches the others', async () => {
    const id = await submit();
    const client = await open(url);
    client.send({ subscribe: [UNKNOWN, id, 'no id at all'] });
    const answers = [await client.next(), await client.next(), await client.next()].map((one) => JSON.parse(one));
    expect(answers.map(({ error }) => error?.task_id).filter(Boolean)).to.deep.equal([UNKNOWN, 'no id at all']);
    expect(answers.map(({ error }) => error?.code).filter(Boolean)).to.deep.equal(['TASK_NOT_FOUND', 'TASK_NOT_FOUND']);
    expect(answers.map(({ task }) => task?.task_id).filter(Boolean)).to.deep.equal([id]);
  });

  for (const message of ['', 'hello', '[]', 'null', '{}', '{"subscribe":"x"}', '{"subscribe":[1]}', '{"watch":[]}']) {
    it(`sends a problem for '${message}', and continues`, async () => {
      const id = await submit();
      const client = await open(url);
      client.send(message);
      expect(JSON.parse(await client.next()).error).to.include({ status: 400, code: 'BAD_REQUEST' });
      client.send({ subscribe: [id] });
      expect(await nextTask(client)).to.include({ task_id: id });
    });
  }

  it('accepts at most 256 ids in one message', async () => {
    const client = await open(url);
    client.send({ subscribe: Array.from({ length: 257 }, () => 'x') });
    expect(JSON.parse(await client.next()).error).to.include({ code: 'BAD_REQUEST' });
  });

  it('closes the connection at a message of more than 16 KiB', async () => {
    const client = await open(url);
    client.send(' '.repeat(16 * 1024 + 1));
    expect((await client.closed).code).to.equal(1009);
  });

  describe('refuses', () => {
    it('the Origin of another host with 403', async () => {
      const { status, problem } = await refusalOf(url, { origin: 'https://evil.example' });
      expect([status, problem['code']]).to.deep.equal([403, 'ORIGIN_NOT_ALLOWED']);
      const own = await open(url, { origin: fixture.address });
      await own.close();
    });

    it('a WebSocket on another path with 404', async () => {
      for (const path of ['', 's', '/more']) {
        const { status, problem } = await refusalOf(path === '' ? url.replace('/events', '/') : url + path);
        expect([status, problem['code']]).to.deep.equal([404, 'NOT_FOUND']);
      }
    });

    it('an ordinary request with 426', async () => {
      const answer = await fetch(`${fixture.address}/events`);
      expect([answer.status, answer.headers.get('upgrade')]).to.deep.equal([426, 'websocket']);
      expect(await answer.json()).to.include({ code: 'UPGRADE_REQUIRED' });
    });
  });

  describe('ends every watch', () => {
    for (const [how, end] of [
      ['closes', (client: WebSocketClient) => client.socket.close()],
      ['is cut off', (client: WebSocketClient) => client.socket.terminate()],
      ['sends a binary message', (client: WebSocketClient) => client.socket.send(Buffer.from('binary'))],
    ] as const) {
      it(`when its client ${how}`, async () => {
        const ids = [await submit(), await submit()];
        const client = await open(url);
        client.send({ subscribe: ids });
        await nextTask(client);
        await nextTask(client);
        expect([watched, events.clients]).to.deep.equal([2, 1]);
        end(client);
        await client.closed;
        while (watched + events.clients > 0) await new Promise((resolve) => setTimeout(resolve, 5));
      });
    }
  });

  describe('ignores an upgrade to anything else', () => {
    const wish = 'Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n';

    it('and answers the request, and the next one on the same connection', async () => {
      const client = new RawClient(fixture);
      await client.write(`GET /livez HTTP/1.1\r\nHost: a\r\n${wish}\r\n`);
      await client.until(/"live"/);
      await client.write(`GET /livez HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`);
      expect((await client.closed()).match(/HTTP\/1\.1 200 OK\r\n/g)).to.have.length(2);
    });

    it('on many requests of one connection, and leaks no listeners', async () => {
      const sockets: Socket[] = [];
      fixture.server.server.on('connection', (socket: Socket) => sockets.push(socket));
      const client = new RawClient(fixture);
      const listeners: number[] = [];
      for (let count = 1; count <= 30; count += 1) {
        await client.write(`GET /livez HTTP/1.1\r\nHost: a\r\n${wish}\r\n`);
        while (client.text.split('"live"').length <= count) await sleep(2);
        const [socket] = sockets;
        listeners.push(socket?.eventNames().reduce((sum, name) => sum + socket.listenerCount(name), 0) ?? 0);
      }
      expect(listeners.at(-1)).to.equal(listeners[1]);
      client.socket.destroy();
    });

    it('with a body, in one write or byte by byte', async () => {
      const body = formBytes([
        ['image', await jpeg(), 'cat.jpg'],
        ['scale_factor', '0.5'],
      ]);
      const head = `POST /upload HTTP/1.1\r\nHost: a\r\n${wish}Content-Type: ${FORM_TYPE}\r\nContent-Length: ${body.length}\r\n\r\n`;
      for (const size of [head.length + body.length, 100]) {
        const client = new RawClient(fixture);
        const bytes = Buffer.concat([Buffer.from(head), body]);
        for (let offset = 0; offset < bytes.length; offset += size) {
          await client.write(bytes.subarray(offset, offset + size));
        }
        expect(await client.until(/"task_id"/)).to.match(/^HTTP\/1\.1 202 Accepted\r\n/);
        client.socket.destroy();
      }
    });
  });

  describe('of another service', () => {
    it('disconnects a client that answers no ping, and keeps one that does', async () => {
      await restart([], 200);
      const [dead, alive] = await Promise.all([open(url, { autoPong: false }), open(url)]);
      expect((await dead.closed).code).to.equal(1006);
      expect(await alive.rest()).to.deep.equal([]);
    });

    it('refuses a missing key with 401, if keys are configured', async () => {
      await restart(['secret']);
      const { status, problem } = await refusalOf(url);
      expect([status, problem['code']]).to.deep.equal([401, 'UNAUTHENTICATED']);
      for (const [path, headers] of [
        ['?key=secret', {}],
        ['', { authorization: 'Bearer secret' }],
      ] as const) {
        const client = await open(url + path, { headers });
        await client.close();
      }
    });

    it('refuses a connection during shutdown with 503', async () => {
      await restart();
      const client = await open(url);
      await events.close();
      expect((await client.closed).code).to.equal(1001);
      const { status, problem } = await refusalOf(url);
      expect([status, problem['code']]).to.deep.equal([503, 'DRAINING']);
    });
  });
});
