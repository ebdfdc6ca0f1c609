import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { pino } from 'pino';
import { Request } from 'zeromq';
import { serverASettings } from '../../server-a/config.ts';
import { type ServerA, startServerA } from '../../server-a/index.ts';
import { LOOPBACKS } from '../../shared/addresses.ts';
import { freePort } from '../support/free-port.ts';
import { eventually } from '../support/processes.ts';
import { refusalOf, WebSocketClient } from './protocols/websocket/websocket-client.ts';
import { makePicture, silent } from './tasks/support.ts';

const LISTENERS = ['port', 'zeromqPort', 'zeromqPubPort', 'grpcPort', 'websocketPort'] as const;
type Ports = Record<(typeof LISTENERS)[number], number>;

describe('composition of Server A', () => {
  const started: ServerA[] = [];
  let dataDir: string;
  let ports: Ports;

  beforeEach(async () => {
    dataDir = await mkdtemp(join(tmpdir(), 'darkroom-server-a-'));
    const [port = 0, zeromqPort = 0, zeromqPubPort = 0, grpcPort = 0, websocketPort = 0] = await Promise.all(
      LISTENERS.map(() => freePort()),
    );
    ports = { port, zeromqPort, zeromqPubPort, grpcPort, websocketPort };
  });
  afterEach(async () => {
    for (const server of started.splice(0)) await server.close();
    await rm(dataDir, { recursive: true });
  });

  async function start(changes: object = {}, log = silent): Promise<ServerA> {
    const settings = serverASettings.parse({ ...ports, dataDir, ...changes });
    // No Server B: the protocols are served without it.
    const backend = { address: null, onChange: () => undefined };
    const options = { backend, token: undefined, log, onFatal: () => undefined };
    const server = await startServerA(settings, options);
    started.push(server);
    return server;
  }

  async function isOpen(port: number, ip = '127.0.0.1'): Promise<boolean> {
    const socket = connect(port, ip);
    try {
      await once(socket, 'connect');
      return true;
    } catch {
      return false;
    } finally {
      socket.destroy();
    }
  }

  const open = async () => {
    const states = await Promise.all(LISTENERS.map(async (name) => [name, await isOpen(ports[name])] as const));
    return states.flatMap(([name, state]) => (state ? [name] : []));
  };

  /** libzmq closes its sockets in its own thread, so it takes a moment. */
  const expectSilence = () => eventually('no open port', async () => (await open()).length === 0 || undefined);

  it('serves every protocol, reports the addresses, and serves none after close', async () => {
    const { lines, http, close } = await start();
    expect(http).to.equal(`http://127.0.0.1:${ports.port}`);
    const hosts = LOOPBACKS.map((ip) => (ip === '::1' ? '[::1]' : ip));
    const { port, zeromqPort, zeromqPubPort, grpcPort, websocketPort } = ports;
    expect(lines).to.deep.equal([
      ...hosts.map((host) => `HTTP      http://${host}:${port}`),
      ...hosts.map((host) => `ZeroMQ    tcp://${host}:${zeromqPort}, classes on tcp://${host}:${zeromqPubPort}`),
      ...hosts.map((host) => `gRPC      ${host}:${grpcPort}`),
      ...hosts.map((host) => `WebSocket ${host}:${websocketPort}`),
    ]);
    expect(await open()).to.deep.equal([...LISTENERS]);
    await close();
    started.length = 0;
    await expectSilence();
  });

  it(`serves every protocol on ${LOOPBACKS.join(' and ')}, also to clients that were told localhost`, async () => {
    await start();
    for (const ip of LOOPBACKS) {
      const host = ip === '::1' ? '[::1]' : ip;
      expect((await fetch(`http://${host}:${ports.port}/livez`)).status).to.equal(200);
      const relay = await WebSocketClient.open(`ws://${host}:${ports.websocketPort}/`);
      await relay.close();
      for (const name of ['grpcPort', 'zeromqPubPort'] as const) expect(await isOpen(ports[name], ip)).to.equal(true);
      for (const named of [host, 'localhost']) {
        const requester = new Request({ linger: 0, receiveTimeout: 10_000, ipv6: named === '[::1]' });
        requester.connect(`tcp://${named}:${ports.zeromqPort}`);
        await requester.send('{"operation":"none"}');
        expect(String(await requester.receive())).to.equal('{"status":"error","message":"Invalid operation"}');
        requester.close();
      }
    }
  });

  it('serves the same HTTP on several ports, and the relay on one of them', async () => {
    const second = await freePort();
    const port = [ports.port, second];
    const { lines, http } = await start({ ip: '127.0.0.1', port, zeromqPort: 0, grpcPort: 0, websocketPort: second });
    expect(http).to.equal(`http://127.0.0.1:${ports.port}`);
    expect(lines).to.deep.equal([
      `HTTP      http://127.0.0.1:${ports.port}`,
      `HTTP      http://127.0.0.1:${second}`,
      `WebSocket 127.0.0.1:${second}`,
    ]);
    const body = new Uint8Array(await makePicture());
    const headers = { 'content-type': 'image/png' };
    for (const [to, from] of [port, port.toReversed()]) {
      const target = `http://127.0.0.1:${to}/upload?scale_factor=0.5`;
      const location = (await fetch(target, { method: 'POST', headers, body })).headers.get('location');
      expect((await fetch(`http://127.0.0.1:${from}${location}`)).status).to.equal(200);
    }
    const client = await WebSocketClient.open(`ws://127.0.0.1:${second}/`);
    await client.close();
  });

  it('does not start a protocol with port 0', async () => {
    const { lines } = await start({ ip: '127.0.0.1', zeromqPort: 0, grpcPort: 0, websocketPort: 0 });
    expect(lines).to.deep.equal([`HTTP      http://127.0.0.1:${ports.port}`]);
    expect(await open()).to.deep.equal(['port']);
  });

  it('relays on the HTTP port when both ports are equal', async () => {
    const { lines, http, close } = await start({ ip: '127.0.0.1', websocketPort: ports.port });
    expect(lines.at(0)).to.equal(`HTTP      ${http}`);
    expect(lines.at(-1)).to.equal(`WebSocket 127.0.0.1:${ports.port}`);
    const url = http.replace('http', 'ws');
    const [operator, camera, events] = await Promise.all([
      WebSocketClient.open(`${url}/`),
      WebSocketClient.open(`${url}/any/path`),
      WebSocketClient.open(`${url}/events?key=none`),
    ]);
    operator.send('snap');
    expect(await camera.next()).to.equal('Message: snap');
    events.send('snap');
    expect(JSON.parse(await events.next())).to.have.nested.property('error.code', 'BAD_REQUEST');
    expect([...(await operator.rest()), ...(await camera.rest()), ...(await events.rest())]).to.deep.equal([]);
    expect((await refusalOf(url, { origin: 'http://evil.example' })).problem['code']).to.equal('ORIGIN_NOT_ALLOWED');
    expect((await fetch(`${http}/livez`)).status).to.equal(200);
    await close();
    started.length = 0;
    const codes = await Promise.all([operator, camera, events].map(async (client) => (await client.closed).code));
    expect(codes).to.deep.equal([1006, 1006, 1001]);
  });

  it('opens nothing when any port is taken, reports it, and starts when all are free again', async () => {
    for (const name of LISTENERS) {
      const other = createServer().listen(ports[name], '127.0.0.1');
      await once(other, 'listening');
      const error: unknown = await start().catch((reason: unknown) => reason);
      other.close();
      await once(other, 'close');
      expect(error, name).to.include({ code: 'EADDRINUSE', port: ports[name] });
      await expectSilence();
    }
    await start();
  });

  it('releases the data folder when the dispatcher cannot be created', async () => {
    const settings = serverASettings.parse({ ...ports, dataDir });
    const backend = { address: { host: '127.0.0.1', port: 65_536 }, onChange: () => undefined };
    const options = { backend, token: undefined, log: silent, onFatal: () => undefined };
    const error: unknown = await startServerA(settings, options).catch((reason: unknown) => reason);
    expect(error).to.include({ code: 'ERR_SOCKET_BAD_PORT' });
    await start();
  });

  it('logs the number of pending tasks at start, and nothing if there are none', async () => {
    const lines: Record<string, unknown>[] = [];
    const log = pino({ level: 'info' }, { write: (line: string) => lines.push(JSON.parse(line)) });
    const { http, close } = await start({}, log);
    expect(lines).to.deep.equal([]);
    const headers = { 'content-type': 'image/png' };
    const body = new Uint8Array(await makePicture());
    await fetch(`${http}/upload?scale_factor=0.5`, { method: 'POST', headers, body });
    await close();
    await start({}, log);
    const line = { msg: 'tasks of an earlier run are pending', pending: 1, processing: 0, spool_bytes: body.length };
    expect(lines.filter(({ msg }) => msg === line.msg)).to.have.length(1);
    expect(lines.find(({ msg }) => msg === line.msg)).to.include(line);
  });

  it('answers /readyz from the same state as gRPC’s health, and /events on the HTTP port', async () => {
    const { http } = await start();
    const answer = await fetch(`${http}/readyz`);
    expect(answer.status).to.equal(503);
    expect(await answer.json()).to.include({ store: 'open', lanes: 0 });
    expect((await fetch(`${http}/events`)).status).to.equal(426);
  });
});
