import { setImmediate as turn } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { expect } from 'chai';
import { probe } from '../../../server-a/probe/probe.ts';
import { Deadline } from '../../../server-b/operations/deadline.ts';
import { encode, WHITE } from '../../../server-b/operations/encode.ts';
import { isTimeout, Picture } from '../../../server-b/operations/picture.ts';
import { rasterize } from '../../../server-b/operations/raster.ts';
import { Memory } from '../../server-a/probe/agreement.ts';
import { box } from '../../support/hand-made.ts';
import { clap, fileType, heif, type Item, ispe, makeTile, reference } from '../../support/heif-file.ts';
import { drawn, LIMITS, own, waves } from '../../support/pictures.ts';

const MEBIBYTE = 1024 * 1024;
const ROUNDS = 40;

setFlagsFromString('--expose_gc');
const collectGarbage: () => void = runInNewContext('gc');

/** Resident memory of this process, in bytes, once all memory that nobody holds is free. */
async function resident(): Promise<number> {
  for (let round = 0; round < 2; round += 1) {
    collectGarbage();
    await turn();
  }
  return process.memoryUsage().rss;
}

/** Bytes by which this process grows while `work` runs many times. The growth of the first rounds does not count. */
async function growth(work: () => Promise<unknown>): Promise<number> {
  for (let round = 0; round < ROUNDS / 4; round += 1) await work();
  const before = await resident();
  for (let round = 0; round < ROUNDS; round += 1) await work();
  return (await resident()) - before;
}

describe('Picture of an AVIF', () => {
  let item: Item;

  before(async () => {
    const { data, configuration } = await makeTile(8);
    item = { type: 'av01', data, properties: [configuration, ispe(64, 48)] };
  });

  async function sizeOf(file: Uint8Array): Promise<readonly [number, number]> {
    const picture = await Picture.open(own(file), await probe(new Memory(file)), LIMITS, new Deadline(30_000));
    const whole = await picture.decodeOnce(picture);
    const { info } = await (await picture.first(1)).raw().toBuffer({ resolveWithObject: true });
    expect([info.width, info.height]).to.deep.equal([whole.width, whole.height]);
    expect(await picture.findCorruption('first')).to.equal(null);
    return [whole.width, whole.height];
  }

  it('is its primary item, also where that is not the first', async () => {
    const turned: Item = { ...item, properties: [...item.properties, box('irot', 1)] };
    const file = heif([item, turned, item]);
    expect(await sizeOf(file)).to.deep.equal([64, 48]);
    // The id in the pitm box, after its header, version and flags.
    file.writeUInt16BE(2, file.indexOf('pitm', 0, 'latin1') + 8);
    expect(await sizeOf(file)).to.deep.equal([48, 64]);
  });

  it('is decoded under every brand that the header is read under', async () => {
    for (const brand of ['miaf', 'mif1', 'mif2', 'msf1', 'avis', 'MiHB']) {
      expect(await sizeOf(heif([item], [], fileType(brand, 'avif'))), brand).to.deep.equal([64, 48]);
    }
  });

  it('is decoded where its clean aperture is less than half of it', async () => {
    const cropped: Item = { ...item, properties: [...item.properties, clap(20, 10)] };
    expect(await sizeOf(heif([cropped]))).to.deep.equal([20, 10]);
  });

  it('is decoded where it is made from another item', async () => {
    const same: Item = { type: 'iden', data: Buffer.alloc(0), properties: [ispe(64, 48), box('irot', 1)] };
    expect(await sizeOf(heif([same, item], [reference('dimg', 1, 2)]))).to.deep.equal([48, 64]);
  });
});

describe('isTimeout', () => {
  it('goes by the time, not by a message that may be about another picture', () => {
    expect(isTimeout(new Error('timeout: 50% complete'), new Deadline(60_000))).to.equal(false);
    expect(isTimeout(new Error('VipsJpeg: premature end of JPEG image'), new Deadline(0))).to.equal(true);
  });
});

describe('memory of pictures', function () {
  this.timeout(120_000);

  const picture = waves(1000, 1000);
  const pixelBytes = 3 * 1000 * 1000;

  it('is freed after pixels', async () => {
    const grown = await growth(() => rasterize(picture.clone()));
    expect(grown / MEBIBYTE).below((ROUNDS * pixelBytes) / 2 / MEBIBYTE);
  });

  it('is freed after encoded pictures', async () => {
    // TIFF, because it is quick to write and nearly as large as the pixels.
    const plainly = { quality: undefined, grayscale: false, lossless: false };
    const encoding = { format: 'tiff', ...plainly, background: WHITE } as const;
    const bytes = drawn(await encode(picture.clone(), encoding)).picture.byteLength;
    expect(bytes).above(pixelBytes / 4);
    const grown = await growth(() => encode(picture.clone(), encoding));
    expect(grown / MEBIBYTE).below((ROUNDS * bytes) / 2 / MEBIBYTE);
  });
});
