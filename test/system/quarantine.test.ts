import { createHash } from 'node:crypto';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { Request } from 'zeromq';
import { listQuarantine, releaseQuarantine } from '../../bin/control/run-quarantine.ts';
import { describeFailure } from '../../bin/serve/failure.ts';
import { DARKROOM, IMAGE_PROCESSOR, loadProtos } from '../../server-a/protocols/grpc/protos.ts';
import type { Task } from '../../shared/task.ts';
import { failureOf, GrpcClient } from '../server-a/protocols/grpc/grpc-client.ts';
import { runDarkroom } from '../support/command-line.ts';
import { freePort } from '../support/free-port.ts';
import { expectUnharmed, HALF, killerPicture, submitBeside } from '../support/innocents.ts';
import { startPictureServer } from '../support/picture-server.ts';
import { repositoryPath } from '../support/repository.ts';
import { Service, temporaryFolder } from '../support/service.ts';

const environment = { DARKROOM_B_OPERATIONS_MODULE: repositoryPath('dist/test/support/killer-operations.js') };

describe('a picture that has crashed its worker', function () {
  this.timeout(180_000);
  let folder: string;
  let dataDir: string;
  let service: Service;
  let zeromqPort: number;
  let grpcPort: number;
  let picture: Buffer;
  let sha256: string;
  /** The task in which the picture crashed its worker, and those of harmless pictures beside it. */
  let task: Task;
  let innocents: readonly string[];

  before(async () => {
    folder = await temporaryFolder();
    await mkdir(join(folder, 'pictures'));
    zeromqPort = await freePort();
    grpcPort = await freePort();
    const ports = ['--zeromq-port', String(zeromqPort), '--grpc-port', String(grpcPort)];
    const flags = [...ports, '--path-root', join(folder, 'pictures'), '--allow-private-urls'];
    dataDir = join(folder, 'data');
    service = await Service.start({ dataDir, environment, flags });
    picture = await killerPicture('abortsProcess');
    sha256 = createHash('sha256').update(picture).digest('hex');
    const beside = await submitBeside(service, 'abortsProcess');
    innocents = beside.innocents;
    task = await service.end(beside.killer);
  });

  after(async () => {
    await service?.stop();
    await rm(folder, { recursive: true, force: true });
  });

  it('and the whole process of Server B fails with WORKER_CRASHED, and all tasks beside it complete', async () => {
    expect([task.status, task.error?.code], JSON.stringify(task)).to.deep.equal(['failed', 'WORKER_CRASHED']);
    await expectUnharmed(service, innocents);
  });

  const quarantine = (...words: string[]) => runDarkroom(['quarantine', ...words, '--data-dir', 'data'], { folder });

  it('is refused over HTTP, as an upload and as a snippet', async () => {
    const answer = await service.post(picture, HALF);
    expect([answer.status, JSON.parse(answer.body.toString()).code]).to.deep.equal([422, 'QUARANTINED']);
    const form = new FormData();
    form.append('image', new Blob([picture]), 'a.png');
    const put = await fetch(`${service.address}/snippets/1/`, { method: 'PUT', body: form });
    expect([put.status, Object(await put.json()).code]).to.deep.equal([422, 'QUARANTINED']);
  });

  it('is refused over ZeroMQ', async () => {
    const socket = new Request({ receiveTimeout: 20_000, linger: 0 });
    try {
      socket.connect(`tcp://127.0.0.1:${zeromqPort}`);
      await socket.send(JSON.stringify({ operation: 'upload', image_data: picture.toString('base64') }));
      const [answer = ''] = await socket.receive();
      expect(answer.toString()).to.contain('has crashed its worker');
    } finally {
      socket.close();
    }
  });

  it('is refused over gRPC, as bytes and as a path', async () => {
    const protos = await loadProtos();
    const darkroom = new GrpcClient(`127.0.0.1:${grpcPort}`, protos, DARKROOM);
    const { call, answer } = darkroom.clientStream('Submit');
    call.write({ options: { classify: {} } });
    call.end({ chunk: picture });
    expect((await failureOf(answer)).darkroom).to.equal('QUARANTINED');
    darkroom.close();
    const path = join(folder, 'pictures', 'a.png');
    await writeFile(path, picture);
    const processor = new GrpcClient(`127.0.0.1:${grpcPort}`, protos, IMAGE_PROCESSOR);
    expect((await failureOf(processor.unary('ProcessImage', { path, size: 32 }))).darkroom).to.equal('QUARANTINED');
    processor.close();
  });

  it('fails the task of a URL that gives it', async () => {
    const server = await startPictureServer(picture);
    try {
      const body = JSON.stringify({ urls: [`${server.address}/a.png`] });
      const headers = { 'content-type': 'application/json' };
      const listed = await fetch(`${service.address}/classify`, { method: 'POST', headers, body });
      const [{ task_id }] = Object(await listed.json()).tasks;
      expect((await service.end(task_id)).error?.code).to.equal('QUARANTINED');
    } finally {
      await server.close();
    }
  });

  describe('on the command line', () => {
    it('is listed', async () => {
      const { code, stdout } = await quarantine('list');
      expect([code, stdout.split('  ')[0], stdout.includes(task.task_id)]).to.deep.equal([0, sha256, true]);
    });

    it('is not released by another SHA-256, nor by what is none', async () => {
      const other = 'f'.repeat(64);
      const unknown = await releaseQuarantine(dataDir, [sha256, other], AbortSignal.timeout(60_000)).catch(
        describeFailure,
      );
      expect(unknown).to.equal(`darkroom: No picture ${other} is in quarantine.`);
      const invalid = await quarantine('release', 'abc');
      expect([invalid.code, invalid.stderr.includes('64 hexadecimal digits')]).to.deep.equal([1, true]);
      expect((await service.post(picture, HALF)).status).to.equal(422);
    });

    it('is accepted again after its release', async () => {
      expect(await quarantine('release', sha256.toUpperCase())).to.include({ code: 0, stdout: 'Released  1\n' });
      expect(await listQuarantine(dataDir, AbortSignal.timeout(60_000))).to.deep.equal([]);
      const answer = await service.post(picture, HALF);
      expect(answer.status).to.equal(202);
    });
  });
});
