import { crc32 } from 'node:zlib';
import { expect } from 'chai';
import { bytes, chunk } from '../../../support/hand-made.ts';
import { decode, waves } from '../../../support/pictures.ts';
import { codesOf, performUploaded, repaired } from './support.ts';

/** IEND and, before it, the checksum of the last IDAT chunk, in bytes. */
const END = 12;
const CHECKSUM = 4;

describe('repair of PNG', () => {
  let sound: Buffer;
  before(async () => {
    sound = await waves(60, 40).png().toBuffer();
  });

  /** The file with a bit changed at an offset from the start of the first IDAT chunk's type, or of another. */
  function changed(offset: number, type = 'IDAT'): Buffer {
    const file = Buffer.from(sound);
    const at = file.indexOf(type) + offset;
    file.writeUInt8(file.readUInt8(at) ^ 4, at);
    return file;
  }

  /** The length of the first IDAT chunk's data. */
  const dataLength = () => sound.readUInt32BE(sound.indexOf('IDAT') - 4);

  async function expectRepaired(damaged: Buffer, warnings: readonly string[]): Promise<void> {
    const made = await repaired(damaged);
    expect(made.warnings).to.deep.equal(warnings);
    expect(made.raster).to.deep.equal(await decode(sound));
  }

  it('corrects the checksum of picture data that is complete', async () => {
    await expectRepaired(changed(4 + dataLength()), ['Corrected 1 checksum of PNG picture data.']);
  });

  it('refuses damaged picture data, with its checksum or without, also in the last row', async () => {
    const last = changed(4 + dataLength() - 6);
    expect(codesOf(await performUploaded(last))).to.deep.equal(['IMAGE_CORRUPT']);
    const data = changed(4 + 100);
    expect(codesOf(await performUploaded(data))).to.deep.equal(['IMAGE_CORRUPT']);
    const start = data.indexOf('IDAT');
    data.writeUInt32BE(crc32(data.subarray(start, start + 4 + dataLength())), start + 4 + dataLength());
    expect(codesOf(await performUploaded(data))).to.deep.equal(['IMAGE_CORRUPT']);
  });

  it('refuses a wrong checksum of the header, whose sides and colours nothing else confirms', async () => {
    expect(codesOf(await performUploaded(changed(4 + 13, 'IHDR')))).to.deep.equal(['IMAGE_CORRUPT']);
  });

  it('completes a file that is cut after its picture data', async () => {
    for (const cut of [END + 1, END + CHECKSUM]) {
      await expectRepaired(sound.subarray(0, -cut), ['Added the missing end of the PNG.']);
    }
  });

  it('refuses a file that is cut in its picture data', async () => {
    for (const cut of [END + CHECKSUM + 1, END + CHECKSUM + 5, END + CHECKSUM + 200]) {
      expect(codesOf(await performUploaded(sound.subarray(0, -cut))), `${cut}`).to.deep.equal(['IMAGE_CORRUPT']);
    }
  });

  it('accepts wrong checksums of ancillary chunks, a missing IEND and bytes after it without a warning', async () => {
    const text = chunk('tEXt', bytes('Comment\0text'));
    text.writeUInt8(text.readUInt8(text.length - 1) ^ 1, text.length - 1);
    const start = 8 + 25;
    await expectRepaired(bytes(sound.subarray(0, start), text, sound.subarray(start)), []);
    await expectRepaired(sound.subarray(0, -END), []);
    await expectRepaired(bytes(sound, 'more'), []);
  });
});
