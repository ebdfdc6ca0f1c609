import { expect } from 'chai';
import type { ErrorCode } from '../../shared/errors.ts';
import { type Answer, problemOf } from '../server-a/protocols/http/http-fixture.ts';
import { runDarkroom } from '../support/command-line.ts';
import { plain, waves } from '../support/pictures.ts';
import { Service } from '../support/service.ts';

const HALF = { scale_factor: '0.5' };
/** A port of loopback without a listener: tasks wait. */
const NO_SERVER_B = '127.0.0.1:9';

describe('a full service', function () {
  this.timeout(180_000);
  let service: Service;

  before(async () => {
    const flags = ['--server-b', NO_SERVER_B, '--max-queued', '2', '--max-spool-mb', '1'];
    service = await Service.start({ command: 'server-a', flags });
  });

  after(() => service.stop());

  function expectFull(answer: Answer, status: number, code: ErrorCode): void {
    expect([answer.status, problemOf(answer).code]).to.deep.equal([status, code]);
    expect(Number(answer.headers['retry-after'])).to.be.above(0);
  }

  it('answers 429 with Retry-After for too many tasks, and accepts the next when one is removed', async () => {
    const picture = await plain(20, 20, 'red');
    const ids = [await service.submit(picture, HALF), await service.submit(picture, HALF)];
    expectFull(await service.post(picture, HALF), 429, 'QUEUE_FULL');
    expect((await service.pictures()).length).to.equal(2);
    await service.delete(`/status/${ids.pop()}`);
    ids.push(await service.submit(picture, HALF));
    expectFull(await service.post(picture, HALF), 429, 'QUEUE_FULL');
    for (const id of ids) await service.delete(`/status/${id}`);
  });

  it('answers 507 with Retry-After for too many bytes, and accepts the next when some are freed', async () => {
    const picture = await waves(500, 500).png({ compressionLevel: 0 }).toBuffer();
    const first = await service.submit(picture, HALF);
    expectFull(await service.post(picture, HALF), 507, 'STORAGE_FULL');
    expect((await service.pictures()).length).to.equal(1);
    await service.delete(`/status/${first}`);
    await service.submit(await plain(20, 20, 'red'), HALF);
  });

  it('refuses a second service on its data folder with one line that names the owner', async () => {
    for (const command of ['serve', 'server-a']) {
      const words = [command, '-p', '0', '--data-dir', service.dataDir, '--no-model-fetch', '--server-b', NO_SERVER_B];
      const { code, stdout, stderr } = await runDarkroom(words);
      expect([code, stdout], command).to.deep.equal([1, '']);
      expect(stderr, command).to.match(new RegExp(`^darkroom: [^\\n]*in use by process ${service.pid} [^\\n]*\\n$`));
    }
    expect((await service.get('/livez')).status).to.equal(200);
  });
});
