import { randomBytes } from 'node:crypto';
import { expect } from 'chai';
import sharp from 'sharp';
import { Dealer } from 'zeromq';
import type { Backend } from '../../../../server-a/dispatch/lanes.ts';
import { readClassification } from '../../../../shared/operations/classify.ts';
import { forever } from '../../tasks/support.ts';
import { PRESETS, usePresetsFile } from '../presets-file.ts';
import { ask, type Fixture, openRequest, startFixture, startServerB } from './zeromq-fixture.ts';

const thumb = { name: 'thumb', width: 20, height: 10, fit: 'cover', format: 'png' };

describe('ZeroMQ kept pictures', function () {
  this.timeout(180_000);
  const presets = usePresetsFile();
  let serverB: { backend: Backend; stop: () => Promise<void> };
  let fixture: Fixture;
  let picture: Buffer;

  before(async () => {
    serverB = await startServerB();
    fixture = await startFixture({ presets: presets() }, serverB.backend);
    picture = await sharp({ create: { width: 60, height: 40, channels: 3, background: '#f00' } })
      .jpeg()
      .toBuffer();
  });

  after(async () => {
    await fixture.stop();
    await serverB.stop();
  });

  async function upload(bytes = picture, members = {}): Promise<string> {
    const image_data = bytes.toString('base64');
    const answer = await ask(fixture.address, { operation: 'upload', image_data, ...members });
    const image_id = String(answer['image_id']);
    expect(answer).to.deep.equal({ status: 'success', message: 'Image uploaded successfully', image_id });
    return image_id;
  }

  function resize(image_id: string, width: unknown, height: unknown) {
    return ask(fixture.address, { operation: 'resize', image_id, width, height });
  }

  async function expectError(answer: Promise<Record<string, unknown>>, message: RegExp): Promise<void> {
    const given = await answer;
    expect(given).to.have.all.keys('status', 'message');
    expect(given['status']).to.equal('error');
    expect(given['message']).to.match(message);
  }

  it('are returned byte for byte', async () => {
    const noise = await sharp(randomBytes(300 * 300 * 3), { raw: { width: 300, height: 300, channels: 3 } })
      .png({ compressionLevel: 0 })
      .toBuffer();
    for (const bytes of [
      picture,
      noise,
      Buffer.concat([picture, Buffer.alloc(1)]),
      Buffer.concat([picture, Buffer.alloc(2)]),
    ]) {
      const image_id = await upload(bytes);
      const answer = await ask(fixture.address, { operation: 'retrieve', image_id });
      expect(answer).to.have.all.keys('status', 'image_data');
      expect(answer['status']).to.equal('success');
      expect(Buffer.from(String(answer['image_data']), 'base64').equals(bytes)).to.equal(true);
    }
  });

  it('larger than one piece are returned byte for byte', async () => {
    const large = Buffer.concat([picture, randomBytes(2_000_000)]);
    const image_id = await upload(large);
    const answer = await ask(fixture.address, { operation: 'retrieve', image_id });
    expect(answer['image_data']).to.equal(large.toString('base64'));
  });

  it('are resized to a PNG of exactly the requested size', async () => {
    const image_id = await upload();
    for (const [width, height] of [
      [30, 20],
      [7, 90],
      [1, 1],
    ]) {
      const answer = await resize(image_id, width, height);
      expect(answer).to.have.all.keys('status', 'image_data');
      const png = await sharp(Buffer.from(String(answer['image_data']), 'base64')).metadata();
      expect([png.format, png.width, png.height]).to.deep.equal(['png', width, height]);
    }
  });

  it('are tasks like any others', async () => {
    const image_id = await upload();
    const task = await fixture.tasks.wait(image_id, 10_000, forever);
    expect(task).to.include({ status: 'completed', result: `/result/${image_id}/original` });
    expect(task.input.original).to.equal(`/result/${image_id}/original`);
    expect(readClassification(task.outputs[0] ?? {})?.labels[0]?.label).to.equal('red');
  });

  it('get an error for an unknown id', async () => {
    for (const image_id of ['V1StGXR8_Z5jdHi6B-myT', 'short', '', 5, null, undefined, ['a']]) {
      for (const operation of ['retrieve', 'resize']) {
        await expectError(
          ask(fixture.address, { operation, image_id, width: 1, height: 1 }),
          /^Expected the id of a k\w+ /,
        );
      }
    }
  });

  it('are accepted as base64 with line breaks, as in MIME', async () => {
    const lines = (picture.toString('base64').match(/.{1,76}/g) ?? []).join('\n');
    const answer = await ask(fixture.address, { operation: 'upload', image_data: `${lines}\n` });
    const kept = await ask(fixture.address, { operation: 'retrieve', image_id: answer['image_id'] });
    expect(kept['image_data']).to.equal(picture.toString('base64'));
  });

  it('are refused when they are not base64', async () => {
    const text = picture.toString('base64');
    for (const image_data of [
      `${text}!`,
      `${text.slice(0, 40)}!${text.slice(40)}`,
      text.slice(1),
      `${text}====`,
      Buffer.from([255, 255, 255]).toString('base64url'),
      `data:image/png;base64,${text}`,
      '%%%',
      5,
      {},
      undefined,
    ]) {
      await expectError(
        ask(fixture.address, { operation: 'upload', image_data }),
        /^Expected base64 for image_data, received /,
      );
    }
  });

  it('get an error when they cannot be decoded', async () => {
    const image_id = await upload(picture.subarray(0, picture.length - 20));
    await expectError(resize(image_id, 10, 10), /./);
    expect(await resize(await upload(), 10, 10)).to.include({ status: 'success' });
  });

  it('are not resized to an invalid size', async () => {
    const image_id = await upload();
    for (const [width, height] of [
      [0, 10],
      [-1, 10],
      [1.5, 10],
      ['10', 10],
      [undefined, 10],
      [10, 16_385],
      [10, null],
    ]) {
      await expectError(
        resize(image_id, width, height),
        /^Expected a whole number in \[1, 16384\] for (width|height), received /,
      );
    }
  });

  it('of one client do not delay another client', async () => {
    // Without a Server B, the first client waits until the end.
    const waiting = await startFixture();
    const busy = openRequest(waiting.address);
    const image_data = picture.toString('base64');
    const { image_id } = await ask(waiting.address, { operation: 'upload', image_data });
    await busy.send(JSON.stringify({ operation: 'resize', image_id, width: 40, height: 40 }));
    expect(await ask(waiting.address, { operation: 'retrieve', image_id })).to.include({ status: 'success' });
    busy.close();
    await waiting.stop();
  });

  describe('with named outputs', () => {
    /** Format, width and height of the picture in an answer. */
    async function shapeOf(answer: Record<string, unknown>): Promise<unknown> {
      expect(answer).to.have.all.keys('status', 'image_data');
      const { format, width, height } = await sharp(Buffer.from(String(answer['image_data']), 'base64')).metadata();
      return [format, width, height];
    }

    it('get the listed outputs, which are retrieved by name, and no labels', async () => {
      const image_id = await upload(picture, { outputs: [thumb, { name: 'hash', operation: 'placeholder' }] });
      const { outputs } = await fixture.tasks.wait(image_id, 10_000, forever);
      expect(outputs.map(({ name, status }) => [name, status])).to.deep.equal([
        ['thumb', 'completed'],
        ['hash', 'completed'],
      ]);
      const named = await ask(fixture.address, { operation: 'retrieve', image_id, name: 'thumb' });
      expect(await shapeOf(named)).to.deep.equal(['png', 20, 10]);
      for (const name of ['original', undefined]) {
        const kept = await ask(fixture.address, { operation: 'retrieve', image_id, name });
        expect(kept['image_data']).to.equal(picture.toString('base64'));
      }
    });

    it('get the outputs of a preset, then the listed ones', async () => {
      const image_id = await upload(picture, { preset: 'avatar', outputs: [thumb] });
      const { outputs } = await fixture.tasks.wait(image_id, 10_000, forever);
      expect(outputs.map(({ name }) => name)).to.deep.equal([...PRESETS.avatar.map(({ name }) => name), 'thumb']);
      const named = await ask(fixture.address, { operation: 'retrieve', image_id, name: 'round' });
      expect(await shapeOf(named)).to.deep.equal(['png', 24, 24]);
    });

    it('get an error for an unknown name, and for the name of data', async () => {
      const image_id = await upload(picture, { preset: 'blurry' });
      await fixture.tasks.wait(image_id, 10_000, forever);
      for (const [name, message] of [
        ['thumb', /^Expected one of hash for the output, received 'thumb'$/],
        ['hash', /^Expected the name of a picture for name, received 'hash'$/],
        [5, /^Expected the name of an output for name, received 5$/],
      ] as const) {
        await expectError(ask(fixture.address, { operation: 'retrieve', image_id, name }), message);
      }
    });
  });

  describe('of a service with no other tasks', () => {
    let shared: Fixture;

    before(() => {
      shared = fixture;
    });

    beforeEach(async () => {
      fixture = await startFixture({ presets: presets() }, serverB.backend);
    });

    afterEach(async () => {
      await fixture.stop();
      fixture = shared;
    });

    it('are the only files that remain after a resize', async () => {
      const image_id = await upload();
      await fixture.tasks.wait(image_id, 10_000, forever);
      const before = fixture.tasks.counts();
      await resize(image_id, 10, 10);
      expect(fixture.tasks.counts()).to.deep.equal(before);
    });

    it('are refused when they are not pictures, are empty or are too large', async () => {
      const cases: readonly (readonly [Buffer, RegExp])[] = [
        [Buffer.from('This is no picture, but it is some text.'), /^Text is not among the formats/],
        [Buffer.alloc(0), /at least one byte/],
        [picture.subarray(0, 30), /./],
        [Buffer.concat([picture, Buffer.alloc(5 * 1024 * 1024)]), /^Expected at most 4194304 bytes/],
      ];
      for (const [bytes, message] of cases) {
        await expectError(ask(fixture.address, { operation: 'upload', image_data: bytes.toString('base64') }), message);
      }
      expect(fixture.tasks.counts()).to.include({ pending: 0, spool_bytes: 0 });
    });

    it('are refused when the list of outputs or the preset is invalid', async () => {
      const image_data = picture.toString('base64');
      for (const [members, message] of [
        [{ outputs: [{ name: 'thumb', width: 0 }] }, /for width of the output thumb, received 0$/],
        [{ outputs: [{ name: 'thumb', widht: 9 }] }, /of the output thumb, received 'widht'$/],
        [{ outputs: JSON.stringify([thumb]) }, /^Expected a JSON list of outputs/],
        [{ outputs: [thumb, thumb] }, /'thumb' twice$/],
        [{ preset: 'poster' }, /one of avatar, blurry for preset, received 'poster'$/],
        [{ preset: ['avatar'] }, /^Expected the name of a preset for preset/],
      ] as const) {
        await expectError(ask(fixture.address, { operation: 'upload', image_data, ...members }), message);
      }
      expect(fixture.tasks.counts()).to.include({ pending: 0, spool_bytes: 0 });
    });

    it('of a client that does not read block neither other clients nor the shutdown', async function () {
      this.timeout(180_000);
      const image_id = await upload(Buffer.concat([picture, randomBytes(3_000_000)]));
      const idle = new Dealer({ linger: 0, receiveHighWaterMark: 1 });
      idle.connect(fixture.address);
      // Eight answers fill the socket; eight more requests are in progress.
      for (let count = 0; count < 24; count += 1) {
        await idle.send(['', JSON.stringify({ operation: 'retrieve', image_id })]);
        expect(await ask(fixture.address, { operation: 'other' })).to.include({
          message: 'Invalid operation',
        });
      }
      await fixture.stop();
      idle.close();
      fixture = await startFixture({}, serverB.backend);
    });

    it('get an error when the service stops during a resize', async () => {
      await fixture.stop();
      fixture = await startFixture();
      const image_id = await upload();
      const waiting = resize(image_id, 10, 10);
      while (fixture.tasks.counts().pending < 2) await new Promise(setImmediate);
      await fixture.protocol.close(0);
      await expectError(waiting, /^The server is shutting down\.$/);
    });
  });
});
