import { expect } from 'chai';
import sharp from 'sharp';
import { bytes, segment } from '../../../support/hand-made.ts';
import { decode, waves } from '../../../support/pictures.ts';
import { restartJpeg } from '../../../support/restart-jpeg.ts';
import { codesOf, performUploaded, pictureOf, repaired } from './support.ts';

const END = bytes(0xff, 0xd9);
const ADDED_END = 'Added the missing JPEG end marker.';

/** The offset of a segment's marker. */
function offsetOf(jpeg: Buffer, code: number): number {
  const offset = jpeg.indexOf(bytes(0xff, code));
  if (offset < 0) throw new Error(`Expected a segment ${code}`);
  return offset;
}

/** The file with bytes put in at an offset. */
function inserted(file: Buffer, offset: number, ...parts: readonly (string | Uint8Array)[]): Buffer {
  return bytes(file.subarray(0, offset), ...parts, file.subarray(offset));
}

async function expectRepaired(damaged: Buffer, sound: Buffer, warnings: readonly string[]): Promise<void> {
  const made = await repaired(damaged);
  expect(made.warnings).to.deep.equal(warnings);
  expect(made.raster).to.deep.equal(await decode(sound));
}

async function expectCorrupt(damaged: Buffer, title?: string): Promise<void> {
  expect(codesOf(await performUploaded(damaged)), title).to.deep.equal(['IMAGE_CORRUPT']);
}

describe('repair of JPEG', () => {
  const kinds = new Map<string, Buffer>();
  before(async () => {
    // libvips tells of warnings when it closes a picture, which its cache would delay; see setUpLibvips.
    sharp.cache(false);
    // Eight rows remain for the last row of blocks, where libvips misses warnings of libjpeg.
    const picture = waves(90, 72);
    kinds.set('baseline', await picture.clone().jpeg().toBuffer());
    kinds.set('grey', await picture.clone().toColourspace('b-w').jpeg().toBuffer());
    kinds.set('4:4:4', await picture.clone().jpeg({ chromaSubsampling: '4:4:4' }).toBuffer());
    kinds.set('progressive', await picture.clone().jpeg({ progressive: true }).toBuffer());
  });

  it('leaves a sound picture as it is, without warnings', async () => {
    for (const sound of kinds.values()) await expectRepaired(sound, sound, []);
  });

  it('removes stray bytes before every kind of segment', async () => {
    for (const [kind, sound] of kinds) {
      for (const code of kind === 'baseline' ? [0xdb, 0xc0, 0xc4, 0xda] : [0xda]) {
        const damaged = inserted(sound, offsetOf(sound, code), 'eighteen stray byt');
        await expectRepaired(damaged, sound, ['Removed 18 stray bytes between JPEG segments.']);
      }
    }
  });

  it('refuses stray bytes that are a segment whose marker is damaged', async () => {
    for (const sound of kinds.values()) {
      const damaged = Buffer.from(sound);
      damaged.writeUInt8(0x7f, offsetOf(sound, 0xc4));
      await expectCorrupt(damaged);
    }
  });

  it('corrects the scan header of a sequential picture that names coefficients', async () => {
    for (const [kind, sound] of kinds) {
      if (kind === 'progressive') continue;
      const scan = offsetOf(sound, 0xda);
      const last = scan + 2 + sound.readUInt16BE(scan + 2) - 3;
      for (const parameters of kind === 'baseline' ? [bytes(0, 0, 0), bytes(0, 63, 0x10)] : [bytes(1, 62, 1)]) {
        const damaged = bytes(sound.subarray(0, last), parameters, sound.subarray(last + 3));
        await expectRepaired(damaged, sound, ['Corrected 1 JPEG scan header.']);
      }
    }
  });

  it('corrects an unknown Adobe transform and an unknown JFIF version', async () => {
    const sound = kinds.get('baseline') ?? Buffer.alloc(0);
    const adobe = segment(0xee, 'Adobe', bytes(0, 100, 0, 0, 0, 0, 7));
    await expectRepaired(inserted(sound, 2, adobe), sound, ['Corrected an unknown Adobe colour transform.']);
    const jfif = segment(0xe0, 'JFIF\0', bytes(3, 1, 0, 0, 1, 0, 1, 0, 0));
    await expectRepaired(inserted(sound, 2, jfif), sound, ['Corrected an unknown JFIF version.']);
  });

  it('gives restart markers with wrong numbers their own, whatever they are', async () => {
    const sound = restartJpeg(20);
    for (const wrong of [1, 3, 7]) {
      const one = restartJpeg(20, { number: (index) => (index + (index === 4 ? wrong : 0)) % 8 });
      await expectRepaired(one, sound, ['Corrected the number of 1 JPEG restart marker.']);
      const all = restartJpeg(20, { number: (index) => (index + wrong) % 8 });
      await expectRepaired(all, sound, ['Corrected the number of 19 JPEG restart markers.']);
    }
    const last = restartJpeg(20, { number: (index) => (index === 18 ? 7 : index % 8) });
    await expectRepaired(last, sound, ['Corrected the number of 1 JPEG restart marker.']);
  });

  it('removes zeros before restart markers, but refuses other bytes and missing blocks', async () => {
    const sound = restartJpeg(20);
    const padded = restartJpeg(20, { before: Buffer.alloc(9) });
    await expectRepaired(padded, sound, ['Removed 171 zero bytes after JPEG data.']);
    await expectCorrupt(restartJpeg(20, { before: Buffer.alloc(9, 'other') }));
    for (const without of [0, 7, 18]) await expectCorrupt(restartJpeg(20, { without }), `block ${without}`);
  });

  it('removes zeros between the scans of a progressive picture', async () => {
    const sound = kinds.get('progressive') ?? Buffer.alloc(0);
    const second = sound.indexOf(bytes(0xff, 0xc4), offsetOf(sound, 0xda));
    const padded = inserted(sound, second, Buffer.alloc(40));
    await expectRepaired(padded, sound, ['Removed 40 zero bytes after JPEG data.']);
  });

  it('adds a missing end marker, or its second half, when all pixels are there', async () => {
    for (const sound of kinds.values()) {
      await expectRepaired(sound.subarray(0, -2), sound, [ADDED_END]);
      await expectRepaired(sound.subarray(0, -1), sound, [ADDED_END]);
    }
  });

  it('refuses a picture that is cut anywhere before its end marker, with and without a new one', async () => {
    for (const [kind, sound] of kinds) {
      const scan = offsetOf(sound, 0xda);
      const data = sound.length - scan - 14;
      for (const place of [sound.length - 3, sound.length - 20, scan + 14 + Math.floor(data / 2)]) {
        const title = `${kind} cut at ${place} of ${sound.length}`;
        await expectCorrupt(sound.subarray(0, place), title);
        // A progressive picture may end after any scan.
        if (kind !== 'progressive') await expectCorrupt(bytes(sound.subarray(0, place), END), `${title}, then ended`);
      }
    }
  });

  it('refuses a progressive picture that is cut between two scans', async () => {
    const sound = kinds.get('progressive') ?? Buffer.alloc(0);
    await expectCorrupt(sound.subarray(0, sound.lastIndexOf(bytes(0xff, 0xda))));
  });

  it('finds damage in the last rows of a picture that shrinks while it is decoded', async () => {
    const sound = await waves(640, 480).jpeg().toBuffer();
    const damaged = bytes(sound.subarray(0, -100), END);
    const thumb = { name: 'thumb', operation: 'resize', width: 20, format: 'png' } as const;
    expect(codesOf(await performUploaded(sound, [thumb]))).to.deep.equal([]);
    expect(codesOf(await performUploaded(damaged, [thumb]))).to.deep.equal(['IMAGE_CORRUPT']);
  });

  it('repairs several faults at once', async () => {
    const sound = kinds.get('baseline') ?? Buffer.alloc(0);
    const scan = offsetOf(sound, 0xda);
    const last = scan + 2 + sound.readUInt16BE(scan + 2) - 1;
    const damaged = Buffer.from(sound.subarray(0, -2));
    damaged.writeUInt8(0x11, last);
    await expectRepaired(inserted(damaged, scan, 'x'), sound, [
      'Removed 1 stray byte between JPEG segments.',
      'Corrected 1 JPEG scan header.',
      ADDED_END,
    ]);
  });

  it('ends a picture with flipped bits as IMAGE_CORRUPT, or with the pixels of a strict decode', async function () {
    this.timeout(180_000);
    const random = randomNumbers(9);
    const pictures = [...kinds.values(), restartJpeg(40)];
    const ends = new Set<string>();
    for (let run = 0; run < 60; run += 1) {
      const damaged = Buffer.from(pictures[run % pictures.length] ?? '');
      for (let flips = 1 + (run % 3); flips > 0; flips -= 1) {
        const place = 2 + Math.floor(random() * (damaged.length - 2));
        damaged.writeUInt8(damaged.readUInt8(place) ^ (1 << Math.floor(random() * 8)), place);
      }
      ends.add(await endOf(damaged, run));
    }
    expect([...ends].sort()).to.include.members(['corrupt', 'decoded']);
  });
});

async function endOf(damaged: Buffer, run: number): Promise<string> {
  const outcome = await performUploaded(damaged).catch((error: unknown) => {
    expect(error, `run ${run}`).to.have.property('code').that.is.oneOf(['IMAGE_CORRUPT', 'UNSUPPORTED_IMAGE']);
    return null;
  });
  if (outcome === null) return 'refused';
  const codes = codesOf(outcome);
  if (codes.length > 0) {
    expect(codes, `run ${run}`).to.deep.equal(['IMAGE_CORRUPT']);
    return 'corrupt';
  }
  const strict = await decode(damaged).catch(() => null);
  if (strict !== null) {
    expect(await pictureOf(outcome), `run ${run}`).to.deep.equal(strict);
    return 'decoded';
  }
  expect(outcome, `run ${run}`).to.have.property('warnings').that.is.not.empty;
  return 'repaired';
}

/** Numbers from 0 to 1 that are the same in every run (Numerical Recipes' linear congruential generator). */
function randomNumbers(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}
