import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { connect as connectHttp2 } from 'node:http2';
import { connect, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { status } from '@grpc/grpc-js';
import { load } from '@grpc/proto-loader';
import { expect } from 'chai';
import { pino } from 'pino';
import { startGrpc } from '../../../../server-a/protocols/grpc/index.ts';
import { DARKROOM, HEALTH, IMAGE_PROCESSOR } from '../../../../server-a/protocols/grpc/protos.ts';
import { Presets } from '../../../../server-a/tasks/presets.ts';
import { repositoryPath } from '../../../support/repository.ts';
import {
  beginJob,
  defaultOptions,
  openTasks,
  replacing,
  silent,
  submitPicture,
  useTemporaryFolder,
} from '../../tasks/support.ts';
import { collect, failureOf, GrpcClient } from './grpc-client.ts';
import { type Fixture, shareFixture, startFixture, useFixture } from './grpc-fixture.ts';

const UNKNOWN = { task_id: 'V1StGXR8_Z5jdHi6B-myT' };

function connectTo({ address }: Fixture): Socket {
  const { hostname, port } = new URL(`http://${address}`);
  return connect(Number(port), hostname.replace(/[[\]]/g, ''));
}

describe('gRPC', () => {
  const fixture = shareFixture();

  it('answers code and message, and does not reveal an unexpected error', async () => {
    const own = await startFixture();
    const { darkroom, tasks, lines } = own;
    expect(await failureOf(darkroom.unary('Get', UNKNOWN))).to.deep.equal({
      code: status.NOT_FOUND,
      details: "Expected the id of a known task for task_id, received 'V1StGXR8_Z5jdHi6B-myT'",
      darkroom: 'TASK_NOT_FOUND',
    });
    const { task_id } = await submitPicture(tasks);
    await tasks.close();
    const failure = await failureOf(darkroom.unary('Get', { task_id }));
    expect(failure).to.deep.equal({
      code: status.INTERNAL,
      details: 'Darkroom failed; its log has the reason.',
      darkroom: 'INTERNAL',
    });
    const line = lines.find(({ msg }) => msg === 'a gRPC call failed unexpectedly');
    expect(line)
      .to.include({ task_id, method: `/${DARKROOM}/Get` })
      .and.to.have.property('err');
    await own.stop();
  });

  it('logs an unexpected error even after the client has disconnected, and the disconnection only at debug', async () => {
    const { tasks, protos } = fixture();
    const { task_id } = await submitPicture(tasks);
    const lines: Record<string, unknown>[] = [];
    const log = pino({ level: 'debug' }, { write: (line: string) => lines.push(JSON.parse(line)) });
    const settings = { ip: ['127.0.0.1'], grpcPort: 0, apiKeys: [], pathRoot: undefined, maxUploadMb: 1 };
    const bounds = { maxConnections: 9, requestSeconds: 60 };
    for (const fail of [
      (signal: AbortSignal) => signal.throwIfAborted(),
      () => {
        throw new TypeError('secret');
      },
    ]) {
      const watched = replacing(tasks, {
        watch: async function* (id, signal) {
          yield tasks.get(id);
          await once(signal, 'abort');
          fail(signal);
        },
      });
      const readiness = () => ({ store: 'open', lanes: 1 });
      const presets = await Presets.load(undefined);
      const options = { tasks: watched, presets, settings: { ...settings, ...bounds }, readiness, log };
      const protocol = await startGrpc(options);
      const client = new GrpcClient(protocol.lines[0]?.split(/ +/)[1] ?? '', protos, DARKROOM);
      const stream = client.serverStream('Watch', { task_id });
      await once(stream, 'data');
      const ended = failureOf(collect(stream));
      const before = lines.length;
      stream.cancel();
      await ended;
      while (lines.length === before) await sleep(2);
      client.close();
      await protocol.close(60_000);
    }
    expect(lines.map(({ level, msg, code }) => [level, msg, code])).to.deep.equal([
      [20, 'refused a gRPC call', 'CANCELED'],
      [50, 'a gRPC call failed unexpectedly', 'INTERNAL'],
    ]);
    expect(JSON.stringify(lines[1])).to.contain('secret');
  });

  it('serves others after garbage, HTTP/1.1, half a preface, half a message and silence', async () => {
    const { darkroom } = fixture();
    const garbage: readonly (string | Buffer)[] = [
      randomBytes(100_000),
      'GET / HTTP/1.1\r\nHost: x\r\n\r\n',
      'PRI * HTTP/2.0\r\n\r\nSM',
      Buffer.concat([
        Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'),
        Buffer.from([0xff, 0xff, 0xff, 4, 0, 0, 0, 0, 0]),
      ]),
    ];
    for (const bytes of garbage) {
      const socket = connectTo(fixture());
      socket.on('error', () => undefined);
      socket.write(bytes);
      await Promise.race([once(socket, 'close'), once(socket, 'data')]);
      socket.destroy();
    }
    const silentSocket = connectTo(fixture());
    expect((await failureOf(darkroom.unary('Get', UNKNOWN))).darkroom).to.equal('TASK_NOT_FOUND');
    silentSocket.destroy();
  });

  it('answers each request that is not gRPC and each message that is not protobuf with its own error', async () => {
    const { address, darkroom } = fixture();
    const session = connectHttp2(`http://${address}`);
    const ask = async (headers: Record<string, string>, body: Buffer) => {
      const request = session.request({ ':method': 'POST', ':path': `/${DARKROOM}/Get`, ...headers });
      request.end(body);
      const [answer] = await once(request, 'response');
      request.resume();
      return [answer[':status'], answer['grpc-status']];
    };
    const grpc = { 'content-type': 'application/grpc', te: 'trailers' };
    const frame = (flag: number, body: Buffer) => Buffer.concat([Buffer.from([flag, 0, 0, 0, body.length]), body]);
    expect(await ask({}, Buffer.from('{}'))).to.deep.equal([415, undefined]);
    expect(await ask(grpc, frame(0, Buffer.from([0xff, 0xff, 0xff])))).to.deep.equal([200, String(status.INTERNAL)]);
    expect(await ask({ ...grpc, 'grpc-encoding': 'gzip' }, frame(1, Buffer.from('no gzip')))).to.deep.equal([
      200,
      String(status.INTERNAL),
    ]);
    expect(await ask({ ...grpc, ':path': '/darkroom.v1.Darkroom/Nothing' }, frame(0, Buffer.alloc(0)))).to.deep.equal([
      200,
      String(status.UNIMPLEMENTED),
    ]);
    session.destroy();
    expect((await failureOf(darkroom.unary('Get', UNKNOWN))).darkroom).to.equal('TASK_NOT_FOUND');
  });

  it('serves others when connections break in the middle of calls', async () => {
    const { darkroom, tasks, address } = fixture();
    const { task_id } = await submitPicture(tasks);
    for (let count = 0; count < 5; count += 1) {
      const socket = connectTo(fixture());
      const session = connectHttp2(`http://${address}`, { createConnection: () => socket });
      session.on('error', () => undefined);
      const request = session.request({
        ':method': 'POST',
        ':path': `/${DARKROOM}/Watch`,
        'content-type': 'application/grpc',
        te: 'trailers',
      });
      request.on('error', () => undefined);
      request.end(Buffer.concat([Buffer.from([0, 0, 0, 0, 23, 10, 21]), Buffer.from(task_id)]));
      await once(request, 'response');
      socket.destroy();
    }
    await beginJob(tasks, task_id);
    expect(await darkroom.unary('Get', { task_id })).to.include({ status: 'TASK_STATUS_PROCESSING' });
  });

  it('throws the system error with its port when the port is in use', async () => {
    const { address, tasks } = fixture();
    const grpcPort = Number(address.split(':')[1]);
    const second = await startFixture({ grpcPort }).then(
      () => null,
      (error: unknown) => error,
    );
    expect(second).to.include({ code: 'EADDRINUSE', port: grpcPort });
    expect(tasks.state).to.equal('open');
  });
});

describe('gRPC bounds', () => {
  const fixture = useFixture({ maxConnections: 2 });

  it('refuses calls and connections beyond their limits', async () => {
    const { darkroom, tasks } = fixture();
    const { task_id } = await submitPicture(tasks);
    const streams = [0, 1].map(() => darkroom.serverStream('Watch', { task_id }));
    await Promise.all(streams.map((stream) => once(stream, 'data')));
    expect(await failureOf(darkroom.unary('Get', { task_id }))).to.include({
      code: status.RESOURCE_EXHAUSTED,
      darkroom: 'RATE_LIMITED',
    });
    const sockets = [connectTo(fixture()), connectTo(fixture())];
    const [open, refused] = sockets;
    if (!open || !refused) throw new Error('Expected two sockets');
    await once(refused, 'close');
    const ended = streams.map((stream) => failureOf(collect(stream)));
    for (const stream of streams) stream.cancel();
    await Promise.all(ended);
    expect(await darkroom.unary('Get', { task_id })).to.include({ status: 'TASK_STATUS_PENDING' });
    open.destroy();
  });
});

describe('gRPC with API keys', () => {
  const fixture = shareFixture({ apiKeys: ['first', 'second'] });

  it("requires one of them for Darkroom's services", async () => {
    const { client } = fixture();
    const expected = { code: status.UNAUTHENTICATED, darkroom: 'UNAUTHENTICATED' };
    for (const headers of [
      {},
      { authorization: 'Bearer third' },
      { 'x-api-key': 'firs' },
      { authorization: 'first' },
    ]) {
      const darkroom = client(DARKROOM, headers);
      expect(await failureOf(darkroom.unary('Get', UNKNOWN))).to.include(expected);
      expect(await failureOf(darkroom.clientStream('Submit').answer)).to.include(expected);
      expect(await failureOf(collect(darkroom.serverStream('Watch', UNKNOWN)))).to.include(expected);
      const circles = client(IMAGE_PROCESSOR, headers);
      expect(await failureOf(circles.unary('ProcessImage', { path: '/x' }))).to.include(expected);
    }
    for (const headers of [{ authorization: 'Bearer first' }, { 'x-api-key': 'second' }]) {
      const { darkroom } = await failureOf(client(DARKROOM, headers).unary('Get', UNKNOWN));
      expect(darkroom).to.equal('TASK_NOT_FOUND');
    }
  });

  it('requires none for health and reflection', async () => {
    const { client, address } = fixture();
    expect(await client(HEALTH).unary('Check', {})).to.include({ status: 'SERVING' });
    const [answer] = await reflect(address, [{ list_services: '*' }]);
    expect(answer).to.have.property('list_services_response');
  });
});

describe('grpc.health.v1.Health', () => {
  const fixture = useFixture();

  it('answers SERVING while tasks can be processed, for the server and each service', async () => {
    const made = fixture();
    const health = made.client(HEALTH);
    for (const service of ['', DARKROOM, IMAGE_PROCESSOR]) {
      made.readiness = { store: 'open', lanes: 1 };
      expect(await health.unary('Check', { service })).to.include({ status: 'SERVING' });
      for (const readiness of [
        { store: 'open', lanes: 0 },
        { store: 'draining', lanes: 1 },
      ]) {
        made.readiness = readiness;
        expect(await health.unary('Check', { service })).to.include({ status: 'NOT_SERVING' });
      }
    }
    expect((await failureOf(health.unary('Check', { service: 'other' }))).code).to.equal(status.NOT_FOUND);
  });

  it('sends each change to watchers', async () => {
    const made = fixture();
    const health = made.client(HEALTH);
    const watched = health.serverStream('Watch', { service: DARKROOM });
    expect((await once(watched, 'data'))[0]).to.include({ status: 'SERVING' });
    made.readiness = { store: 'open', lanes: 0 };
    expect((await once(watched, 'data'))[0]).to.include({ status: 'NOT_SERVING' });
    const unknown = health.serverStream('Watch', { service: 'other' });
    expect((await once(unknown, 'data'))[0]).to.include({ status: 'SERVICE_UNKNOWN' });
    for (const stream of [watched, unknown]) {
      const ended = failureOf(collect(stream));
      stream.cancel();
      await ended;
    }
  });
});

describe('gRPC reflection', () => {
  const fixture = shareFixture();

  it('lists the services, and returns their files with all imports', async () => {
    const { address } = fixture();
    const questions = [{ list_services: '*' }, { file_containing_symbol: DARKROOM }];
    const [listed, files] = await reflect(address, questions);
    for (const service of [DARKROOM, IMAGE_PROCESSOR, HEALTH]) {
      expect(JSON.stringify(listed)).to.contain(`"${service}"`);
    }
    expect(files).to.have.nested.property('file_descriptor_response.file_descriptor_proto').with.length(2);
  });

  it('answers a thousand requests that were sent before the first answer is read', async () => {
    const questions = Array.from({ length: 1000 }, () => ({ file_containing_symbol: DARKROOM }));
    expect(await reflect(fixture().address, questions)).to.have.length(1000);
  });
});

describe('startGrpc', () => {
  const folder = useTemporaryFolder();

  it('listens on IPv6, reports the address, and closes in time although a client stays connected', async () => {
    const tasks = await openTasks(defaultOptions(folder()));
    const settings = {
      ip: ['::1'],
      grpcPort: 0,
      apiKeys: [],
      pathRoot: undefined,
      maxUploadMb: 1,
      maxConnections: 2,
      requestSeconds: 1,
    };
    const readiness = () => ({ store: 'open', lanes: 1 });
    const protocol = await startGrpc({
      tasks,
      presets: await Presets.load(undefined),
      settings,
      readiness,
      log: silent,
    });
    expect(protocol.lines[0]).to.match(/^gRPC {6}\[::1\]:\d+$/);
    const { port } = new URL(`http://${protocol.lines[0]?.split(/ +/)[1]}`);
    const socket = connect(Number(port), '::1');
    await once(socket, 'connect');
    const closed = once(socket.resume(), 'close');
    await protocol.close(100);
    await closed;
    await tasks.close();
  });
});

/** A client of the reflection service, made from the definition in its package. */
async function reflectionClient(address: string): Promise<GrpcClient> {
  const protos = await load(
    repositoryPath('node_modules/@grpc/reflection/build/proto/grpc/reflection/v1/reflection.proto'),
    {
      keepCase: true,
    },
  );
  return new GrpcClient(address, protos, 'grpc.reflection.v1.ServerReflection');
}

/** The answers to `questions`, which are all sent before the first answer is read. */
async function reflect(address: string, questions: readonly object[]): Promise<object[]> {
  const client = await reflectionClient(address);
  const call = client.bidi('ServerReflectionInfo');
  for (const question of questions) call.write(question);
  call.end();
  const answers: object[] = [];
  for await (const answer of call) answers.push(answer);
  client.close();
  return answers;
}
