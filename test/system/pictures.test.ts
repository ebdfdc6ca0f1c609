import { expect } from 'chai';
import sharp, { type Sharp } from 'sharp';
import type { Task } from '../../shared/task.ts';
import { problemOf, taskOf } from '../server-a/protocols/http/http-fixture.ts';
import { box } from '../support/hand-made.ts';
import { heic, QUARTERS } from '../support/heic-tiles.ts';
import { decode, meanDifference, pixelAt, plain, quarters, waves } from '../support/pictures.ts';
import { eventually } from '../support/processes.ts';
import { Service } from '../support/service.ts';

const WHOLE = { scale_factor: '1', classify: 'false' };

describe('outputs of the running service', function () {
  this.timeout(180_000);
  let service: Service;

  before(async () => {
    service = await Service.start();
  });

  after(() => service.stop());

  async function made(picture: Sharp | Buffer, fields: Record<string, string> = WHOLE): Promise<Buffer> {
    const { task_id: id } = await service.run(Buffer.isBuffer(picture) ? picture : await picture.toBuffer(), fields);
    return service.picture(id);
  }

  /**
   * Resolves when there is no picture of these tasks. Those of a canceled attempt may be removed a moment later.
   */
  async function expectNoPictures(ids: readonly string[]): Promise<void> {
    await eventually(`no picture of ${ids}`, async () => {
      const names = await service.pictures();
      return names.some((name) => ids.some((id) => name.startsWith(id))) ? undefined : true;
    });
  }

  describe('a HEIC', () => {
    it('becomes a JPEG, and its record says what it was', async () => {
      const task = await service.run(heic(QUARTERS, box('irot', 1)), { scale_factor: '0.5', circle: '20' });
      expect(task).to.have.property('status', 'completed');
      expect(task.input).to.include({ format: 'heic', width: 64, height: 64 });
      expect(task.outputs[0]).to.include({ format: 'jpeg', width: 32, height: 32 });
      const raster = await decode(await service.picture(task.task_id));
      for (const [channel, value] of [0, 255, 0].entries()) {
        expect(pixelAt(raster, 8, 8)[channel]).to.be.closeTo(value, 20);
      }
    });

    it('is refused with advice by a service that was started with --no-heic', async () => {
      const without = await Service.start({ command: 'server-a', flags: ['--server-b', '127.0.0.1:9', '--no-heic'] });
      try {
        const answer = await without.post(heic(QUARTERS), WHOLE);
        expect(problemOf(answer)).to.include({ status: 415, code: 'UNSUPPORTED_IMAGE' });
        expect(problemOf(answer).detail).to.match(/--no-heic\); send JPEG/);
      } finally {
        await without.stop();
      }
    });
  });

  describe('a picture', () => {
    it('is turned upright by its EXIF orientation, and has none afterwards', async () => {
      for (let orientation = 1; orientation <= 8; orientation += 1) {
        const source = await quarters(64, 32).jpeg({ quality: 95 }).withMetadata({ orientation }).toBuffer();
        const result = await made(source);
        expect((await sharp(result).metadata()).orientation ?? 1, String(orientation)).to.equal(1);
        const upright = await sharp(source).autoOrient().png().toBuffer();
        const difference = meanDifference(await decode(result), await decode(upright));
        expect(difference, String(orientation)).to.be.below(6);
      }
    });

    it('does not contain the location and the camera of the input', async () => {
      const exif = { IFD0: { Make: 'SecretCamera' }, IFD3: { GPSLatitude: '51/1 30/1 0/1', GPSLatitudeRef: 'N' } };
      const source = await waves(60, 40).jpeg().withExif(exif).withXmp('<x>SecretPlace</x>').toBuffer();
      expect(source.includes('SecretCamera')).to.equal(true);
      for (const format of ['jpeg', 'png', 'webp', 'tiff', 'avif']) {
        const result = await made(source, { ...WHOLE, format });
        const { exif: kept, xmp } = await sharp(result).metadata();
        expect([kept, xmp, result.includes('Secret')], format).to.deep.equal([undefined, undefined, false]);
      }
    });

    const kinds: Readonly<Record<string, () => Sharp>> = {
      CMYK: () => waves(80, 60).toColourspace('cmyk').jpeg({ quality: 95 }),
      '16-bit': () => waves(80, 60).toColourspace('rgb16').png(),
      grey: () => waves(80, 60).greyscale().png(),
      palette: () => waves(80, 60).png({ palette: true }),
      'wide-gamut': () => waves(80, 60).withIccProfile('p3').png(),
    };
    for (const [kind, source] of Object.entries(kinds)) {
      it(`keeps its colours when it is ${kind}`, async () => {
        const picture = await source().toBuffer();
        const right = await decode(await sharp(picture).toColourspace('srgb').removeAlpha().png().toBuffer());
        for (const format of ['png', 'jpeg']) {
          const result = await decode(await made(picture, { ...WHOLE, format, quality: '95' }));
          expect(meanDifference(await sameShape(result), await sameShape(right)), format).to.be.below(5);
        }
      });
    }

    it('keeps its alpha if the format has one, otherwise is flattened on white', async () => {
      const clear = sharp({
        create: { width: 20, height: 20, channels: 4, background: { r: 0, g: 0, b: 255, alpha: 0 } },
      });
      const source = await clear.png().toBuffer();
      for (const format of ['png', 'webp', 'avif']) {
        expect(pixelAt(await decode(await made(source, { ...WHOLE, format })), 5, 5)[3], format).to.equal(0);
      }
      expect(pixelAt(await decode(await made(source, { ...WHOLE, format: 'jpeg' })), 5, 5)).to.deep.equal([
        255, 255, 255,
      ]);
    });

    it('stays animated as GIF and WebP, and becomes its first frame as PNG', async () => {
      const frames = await Promise.all(['red', 'lime', 'blue'].map((color) => plain(40, 30, color)));
      const source = await sharp(frames, { join: { animated: true } })
        .gif({ delay: [100, 200, 300] })
        .toBuffer();
      for (const format of ['gif', 'webp']) {
        const { pages, delay, width, pageHeight } = await sharp(await made(source, { scale_factor: '0.5', format }), {
          animated: true,
        }).metadata();
        expect({ pages, delay, width, pageHeight }, format).to.deep.equal({
          pages: 3,
          delay: [100, 200, 300],
          width: 20,
          pageHeight: 15,
        });
      }
      const still = await made(source, { scale_factor: '0.5', format: 'png' });
      expect((await sharp(still).metadata()).pages ?? 1).to.equal(1);
      expect(pixelAt(await decode(still), 5, 5).slice(0, 3)).to.deep.equal([255, 0, 0]);
    });
  });

  describe('a task', () => {
    it('has a result for each output, and the first picture as its own result', async () => {
      const picture = await waves(200, 100).png().toBuffer();
      const task = await service.run(picture, { width: '50', circle: '30', classify: 'true' });
      expect(task.outputs.map(({ name, status }) => `${name} ${status}`)).to.deep.equal([
        'resize completed',
        'circle completed',
        'classify failed',
      ]);
      const [own, resize, circle] = await Promise.all(
        [undefined, 'resize', 'circle'].map((name) => service.picture(task.task_id, name)),
      );
      if (circle === undefined) throw new Error('Expected a circle');
      expect(own).to.deep.equal(resize);
      expect(await sharp(own).metadata()).to.include({ width: 50, height: 25, format: 'png' });
      const round = await decode(circle);
      expect([round.width, round.height, pixelAt(round, 0, 0)[3], pixelAt(round, 15, 15)[3]]).to.deep.equal([
        30, 30, 0, 255,
      ]);
      const labels = await service.get(`/result/${task.task_id}/classify`);
      expect([labels.status, problemOf(labels).code]).to.deep.equal([503, 'MODEL_UNAVAILABLE']);
    });

    it('is returned after its end to a client that waits', async () => {
      const picture = await plain(20, 20, 'red');
      const headers = { 'Content-Type': 'image/png', Prefer: 'wait=20' };
      const response = await fetch(`${service.address}/upload?scale_factor=0.5&classify=false`, {
        method: 'POST',
        headers,
        body: new Uint8Array(picture),
      });
      const task: unknown = await response.json();
      expect([response.status, response.headers.get('preference-applied')]).to.deep.equal([200, 'wait=20']);
      expect(task).to.include({ status: 'completed' });
    });

    it('ends as canceled when it is canceled while it waits or runs, and can then be removed', async () => {
      const picture = await waves(500, 400).png().toBuffer();
      const fields = { ...WHOLE, format: 'avif' };
      const ids = await Promise.all(Array.from({ length: 5 }, () => service.submit(picture, fields)));
      const canceled: Task[] = [];
      for (const id of ids.toReversed()) canceled.push(taskOf(await service.delete(`/status/${id}`)));
      expect(canceled.map(({ status }) => status)).to.deep.equal(ids.map(() => 'canceled'));
      for (const id of ids) {
        expect((await service.get(`/result/${id}`)).status).to.equal(499);
        expect((await service.delete(`/status/${id}`)).status).to.equal(204);
        expect((await service.get(`/status/${id}`)).status).to.equal(404);
      }
      await expectNoPictures(ids);
      expect((await service.run(picture, WHOLE)).status).to.equal('completed');
    });

    it('leaves no picture when it is removed', async () => {
      const { task_id: id } = await service.run(await plain(20, 20, 'red'), WHOLE);
      expect(await service.pictures()).to.include(`${id}.1.resize`);
      await service.delete(`/status/${id}`);
      await expectNoPictures([id]);
    });
  });
});

/** The picture as three channels without alpha, to compare with others. */
async function sameShape({ pixels, width, height, channels }: Awaited<ReturnType<typeof decode>>) {
  const opaque = sharp(pixels, { raw: { width, height, channels } }).removeAlpha().toColourspace('srgb');
  return decode(await opaque.png().toBuffer());
}
