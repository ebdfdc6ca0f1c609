import { expect } from 'chai';
import sharp from 'sharp';
import { bytes } from '../../../support/hand-made.ts';
import { decode, waves } from '../../../support/pictures.ts';
import { codesOf, performUploaded, repaired } from './support.ts';

const LENGTH = ['Corrected the length in the WebP header.'];

describe('repair of WebP', () => {
  const kinds = new Map<string, Buffer>();
  before(async () => {
    const picture = waves(60, 40);
    kinds.set('lossy', await picture.clone().webp().toBuffer());
    kinds.set('lossless', await picture.clone().webp({ lossless: true }).toBuffer());
    kinds.set('with alpha', await picture.clone().ensureAlpha(0.5).webp().toBuffer());
    const frames = await Promise.all([0, 180].map((hue) => waves(24, 20).modulate({ hue }).png().toBuffer()));
    const animation = await sharp(frames, { join: { animated: true } })
      .webp()
      .toBuffer();
    kinds.set('animated', animation);
  });

  it('corrects a wrong length in the RIFF header', async () => {
    for (const [kind, sound] of kinds) {
      const right = sound.readUInt32LE(4);
      for (const wrong of [0, 20, right - 2, right + 2, 0xffff_ffff]) {
        const damaged = Buffer.from(sound);
        damaged.writeUInt32LE(wrong, 4);
        const made = await repaired(damaged);
        expect(made.warnings, `${kind} ${wrong}`).to.deep.equal(LENGTH);
        expect(made.raster, `${kind} ${wrong}`).to.deep.equal(await decode(sound));
      }
    }
  });

  it('refuses a picture that is cut, whatever length its header has', async () => {
    for (const [kind, sound] of kinds) {
      for (const cut of [2, 30]) {
        const damaged = Buffer.from(sound.subarray(0, -cut));
        expect(codesOf(await performUploaded(damaged)), `${kind} ${cut}`).to.deep.equal(['IMAGE_CORRUPT']);
        damaged.writeUInt32LE(damaged.length - 8, 4);
        expect(codesOf(await performUploaded(damaged)), `${kind} ${cut}`).to.deep.equal(['IMAGE_CORRUPT']);
      }
    }
  });

  it('refuses an animation that is cut between two frames', async () => {
    const sound = kinds.get('animated') ?? Buffer.alloc(0);
    const cut = sound.subarray(0, sound.lastIndexOf('ANMF'));
    expect(codesOf(await performUploaded(cut))).to.deep.equal(['IMAGE_CORRUPT']);
  });

  it('accepts a frame that is shown for more than a minute', async () => {
    const animation = Buffer.from(kinds.get('animated') ?? '');
    // The duration, of three bytes, follows a frame's position and size (RFC 9649, section 2.7.1.2).
    animation.writeUIntLE(120_000, animation.indexOf('ANMF') + 8 + 12, 3);
    const outcome = await performUploaded(animation, [{ name: 'same', operation: 'resize' }]);
    expect(codesOf(outcome)).to.deep.equal([]);
    const made = outcome.kind === 'done' ? outcome.outputs[0]?.picture : null;
    expect((await sharp(made ?? new Uint8Array()).metadata()).delay?.[0]).to.equal(65_535);
  });

  it('accepts bytes after the picture without a warning', async () => {
    for (const sound of kinds.values()) {
      const made = await repaired(bytes(sound, 'more'));
      expect(made.warnings).to.deep.equal([]);
      expect(made.raster).to.deep.equal(await decode(sound));
    }
  });
});
