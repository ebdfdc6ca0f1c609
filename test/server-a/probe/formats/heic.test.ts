import { expect } from 'chai';
import { sniff } from '../../../../server-a/probe/probe.ts';
import { box } from '../../../support/hand-made.ts';
import { GREY, heic, heicGrid, heicWithAlpha, hevcItem, QUARTERS, TEN_BITS } from '../../../support/heic-tiles.ts';
import { clap, fileType, heif, type Item, ispe, makeTile, reference } from '../../../support/heif-file.ts';
import { probeBytes } from '../agreement.ts';
import { expectRefusal } from '../refusal.ts';

describe('probe of HEIC', () => {
  it('reads size, depth and alpha of the primary item', async () => {
    const header = { format: 'heic', width: 64, height: 64, frames: 1, channels: 3, depth: 8, orientation: 1 };
    expect(await probeBytes(heic(QUARTERS))).to.deep.include({ ...header, alpha: false, progressive: true });
    expect(await probeBytes(heic(TEN_BITS))).to.include({ depth: 16 });
    expect(await probeBytes(heicWithAlpha(QUARTERS, GREY))).to.include({ channels: 4, alpha: true });
  });

  it('reads a grid, which is decoded tile by tile, and the pixels of a tile that exceeds it', async () => {
    const grid = await probeBytes(heicGrid(QUARTERS, 2, 2, [100, 90]));
    expect(grid).to.include({ format: 'heic', width: 100, height: 90, progressive: false });
    expect(grid).to.not.have.property('codedPixels');
    expect(await probeBytes(heicGrid(QUARTERS, 1, 1, [10, 10]))).to.include({ width: 10, codedPixels: 4096 });
  });

  it('gives the size after crop and rotation, and the pixels before them', async () => {
    const header = await probeBytes(heic(QUARTERS, clap(20, 10), box('irot', 1)));
    expect(header).to.include({ width: 10, height: 20, codedPixels: 4096, orientation: 1 });
  });

  it('tells HEIC from AVIF by the primary item, whatever the brands say', async () => {
    const { data, configuration } = await makeTile(8);
    const av1: Item = { type: 'av01', data, properties: [configuration, ispe(64, 48)] };
    for (const brand of ['heic', 'heix', 'avif', 'mif1', 'miaf', 'msf1', 'hevc', 'avis', 'MiHE']) {
      const type = fileType(brand, 'mif1');
      expect(await probeBytes(heif([hevcItem(QUARTERS)], [], type)), brand).to.include({ format: 'heic', width: 64 });
      expect(await probeBytes(heif([av1], [], type)), brand).to.include({ format: 'avif', height: 48 });
    }
    const foreign = fileType('iso8', 'mif1', 'heic');
    expect(sniff(foreign)).to.equal('heic');
  });

  it('reads a picture that another item is made from', async () => {
    const same: Item = { type: 'iden', data: Buffer.alloc(0), properties: [ispe(64, 64), box('irot', 1)] };
    const file = heif([same, hevcItem(QUARTERS)], [reference('dimg', 1, 2)]);
    expect(await probeBytes(file)).to.include({ format: 'heic', width: 64 });
  });

  it('refuses another codec by its name, and says what to send', async () => {
    const codecs = {
      avc1: 'H.264',
      vvc1: 'VVC',
      j2k1: 'JPEG 2000',
      jpeg: 'JPEG',
      unci: 'uncompressed pixels',
      'ab\x01c': "the item type 'ab?c'",
    };
    for (const [type, name] of Object.entries(codecs)) {
      const message = await expectRefusal(heif([{ ...hevcItem(QUARTERS), type }]), 'UNSUPPORTED_IMAGE');
      expect(message)
        .to.contain(`HEVC or AV1 for the codec of the HEIF, received '${name}`)
        .and.to.match(/; send JPEG/);
    }
  });

  it('refuses a sequence without a still picture, and names it', async () => {
    const film = Buffer.concat([fileType('msf1', 'hevc'), box('moov', box('free'))]);
    expect(await expectRefusal(film, 'UNSUPPORTED_IMAGE')).to.match(/a still picture .*only a sequence; send/);
  });

  it('refuses items that are made from each other, from none, or missing', async () => {
    const derived = (type: string): Item => ({ type, data: Buffer.alloc(8), properties: [ispe(64, 64)] });
    await expectRefusal(
      heif([derived('iden'), derived('iden')], [reference('dimg', 1, 2), reference('dimg', 2, 1)]),
      'IMAGE_CORRUPT',
    );
    await expectRefusal(heif([derived('grid')]), 'IMAGE_CORRUPT');
    await expectRefusal(heif([derived('grid')], [reference('dimg', 1, 9)]), 'IMAGE_CORRUPT');
  });
});
