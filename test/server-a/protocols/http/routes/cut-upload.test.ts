import { expect } from 'chai';
import { expectNothingLeft, type Fixture, FORM_TYPE, formBytes, jpeg, startFixture } from '../http-fixture.ts';
import { RawClient } from '../raw-client.ts';

describe('an upload whose connection is cut', () => {
  let fixture: Fixture;
  let form: Buffer;

  before(async () => {
    // The queue has room for one task, so that a leaked reservation is noticed.
    fixture = await startFixture({ maxQueued: 1 });
    form = formBytes([
      ['image', await jpeg(400, 300), 'cat.jpg'],
      ['scale_factor', '0.5'],
    ]);
  });

  after(() => fixture.stop());

  afterEach(async () => {
    await expectNothingLeft(fixture);
    fixture.tasks.checkRoom(null);
    expect(fixture.lines.filter((line) => Number(line['level']) >= 40)).deep.equal([]);
  });

  function head(type: string, length: number): string {
    const query = type === FORM_TYPE ? '' : '?circle=9';
    return `POST /upload${query} HTTP/1.1\r\nHost: a\r\nContent-Type: ${type}\r\nContent-Length: ${length}\r\n\r\n`;
  }

  /** Waits until the server has begun to store the picture. */
  async function begun(): Promise<void> {
    while (fixture.tasks.counts().spool_bytes === 0) await new Promise((resolve) => setTimeout(resolve, 5));
  }

  it('leaves nothing of a form while its picture arrives', async () => {
    const client = new RawClient(fixture);
    await client.write(head(FORM_TYPE, form.length));
    await client.write(form.subarray(0, 2000));
    await begun();
    client.socket.destroy();
  });

  it('leaves nothing of a form after its picture has arrived', async () => {
    const client = new RawClient(fixture);
    await client.write(head(FORM_TYPE, form.length));
    await client.write(form.subarray(0, form.length - 100));
    await begun();
    client.socket.destroy();
  });

  it('leaves nothing of a form before its picture arrives', async () => {
    const fields = formBytes([['scale_factor', '0.5']]);
    const client = new RawClient(fixture);
    await client.write(head(FORM_TYPE, 10_000));
    await client.write(fields.subarray(0, fields.length - 4));
    client.socket.destroy();
  });

  it('leaves nothing of a raw picture', async () => {
    const picture = await jpeg(400, 300);
    const client = new RawClient(fixture);
    await client.write(head('image/jpeg', picture.length));
    await client.write(picture.subarray(0, 2000));
    await begun();
    client.socket.resetAndDestroy();
  });

  it('leaves nothing when the client half-closes in the middle, and answers it', async () => {
    const client = new RawClient(fixture);
    await client.write(head(FORM_TYPE, form.length));
    await client.write(form.subarray(0, 2000));
    await begun();
    client.socket.end();
    expect(await client.closed()).match(/^HTTP\/1\.1 400 [\s\S]*"code":"BAD_REQUEST"/);
  });

  it('leaves nothing after a cut at any byte', async () => {
    for (let end = 1; end < form.length; end += Math.ceil(form.length / 25)) {
      const client = new RawClient(fixture);
      await client.write(Buffer.concat([Buffer.from(head(FORM_TYPE, form.length)), form.subarray(0, end)]));
      client.socket.destroy();
      await client.closed();
      await expectNothingLeft(fixture);
    }
  });

  it('leaves nothing when the server closes', async () => {
    const closing = await startFixture();
    const { port, host } = closing;
    const client = new RawClient({ host, port });
    await client.write(head(FORM_TYPE, form.length));
    await client.write(form.subarray(0, 2000));
    while (closing.tasks.counts().spool_bytes === 0) await new Promise((resolve) => setTimeout(resolve, 5));
    await closing.server.close(0);
    await client.closed();
    await expectNothingLeft(closing);
    await closing.stop();
  });
});
