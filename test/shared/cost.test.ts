import { expect } from 'chai';
import { commonSettings } from '../../shared/config.ts';
import { jobCost } from '../../shared/cost.ts';
import type { ImageHeader } from '../../shared/image-header.ts';
import type { OutputSpec } from '../../shared/operations/index.ts';
import type { ResizeParameters } from '../../shared/operations/resize.ts';

const MEBIBYTE = 1024 * 1024;

/** A photograph of 24 megapixels. */
const PHOTO: ImageHeader = {
  format: 'jpeg',
  width: 6000,
  height: 4000,
  frames: 1,
  channels: 3,
  depth: 8,
  alpha: false,
  progressive: false,
  orientation: 1,
};

function resize(scale_factor: number, more: ResizeParameters = {}) {
  return { name: 'resize', operation: 'resize', scale_factor, ...more } as const;
}

/** The size of a phone's picture. */
const SIZE_12 = { width: 4032, height: 3024 };

/** Header, outputs, MiB of body, and measured peak in MiB (bench/memory.ts and similar runs on Linux, sharp 0.35.5). */
const MEASURED: readonly (readonly [string, Partial<ImageHeader>, OutputSpec[], number, number])[] = [
  ['JPEG to a tenth', {}, [resize(0.1)], 5.6, 15],
  ['JPEG to half', {}, [resize(0.5)], 5.6, 71],
  ['JPEG', {}, [resize(1)], 5.6, 168],
  ['JPEG of 100 megapixels', { width: 12_247, height: 8165 }, [resize(1)], 13.8, 640],
  ['progressive JPEG to a tenth', { progressive: true }, [resize(0.1)], 2.5, 145],
  ['progressive JPEG', { progressive: true }, [resize(1)], 2.5, 295],
  ['JPEG turned by EXIF', { orientation: 6 }, [resize(1)], 5.1, 233],
  ['CMYK, progressive', { channels: 4, progressive: true }, [resize(0.1)], 14, 205],
  ['PNG to a tenth', { format: 'png' }, [resize(0.1)], 3.6, 39],
  ['PNG, interlaced', { format: 'png', progressive: true }, [resize(0.1)], 4.8, 101],
  ['PNG of 16 bits, interlaced', { format: 'png', depth: 16, progressive: true }, [resize(0.1)], 7.9, 195],
  ['lossy WebP', { format: 'webp' }, [resize(1)], 3.7, 406],
  ['lossless WebP to a tenth', { format: 'webp', progressive: true }, [resize(0.1)], 7.7, 108],
  ['AVIF to a tenth', { format: 'avif' }, [resize(0.1)], 0.4, 428],
  ['AVIF of 10 bits to a tenth', { format: 'avif', depth: 16 }, [resize(0.1)], 1.5, 580],
  ['AVIF to half', { format: 'avif' }, [resize(0.5)], 0.4, 429],
  ['AVIF to JPEG', { format: 'avif' }, [resize(1, { format: 'jpeg' })], 0.4, 427],
  ['AVIF', { format: 'avif' }, [resize(1)], 0.4, 807],
  [
    'AVIF of 12 megapixels, and a smaller JPEG after it',
    { format: 'avif', width: 4243, height: 2828 },
    [resize(1), resize(0.5, { format: 'jpeg' })],
    0.2,
    407,
  ],
  ['AVIF of 50 megapixels to half', { format: 'avif', width: 8661, height: 5774 }, [resize(0.5)], 1.1, 887],
  ['AVIF of 10 bits to half', { format: 'avif', depth: 16 }, [resize(0.5)], 1.5, 577],
  ['AVIF of 10 bits to JPEG', { format: 'avif', depth: 16 }, [resize(1, { format: 'jpeg' })], 1.5, 573],
  ['AVIF of 10 bits to two', { format: 'avif', depth: 16 }, [resize(0.5), resize(0.4, { format: 'png' })], 1.5, 606],
  ['JPEG to PNG', {}, [resize(1, { format: 'png' })], 5.6, 131],
  ['JPEG to WebP', {}, [resize(1, { format: 'webp' })], 5.6, 298],
  ['JPEG to AVIF', {}, [resize(1, { format: 'avif' })], 5.6, 786],
  ['JPEG to GIF', {}, [resize(1, { format: 'gif' })], 5.6, 339],
  ['JPEG to TIFF', {}, [resize(1, { format: 'tiff' })], 5.6, 147],
  ['HEIC', { format: 'heic', progressive: true, ...SIZE_12 }, [resize(0.1)], 4.9, 164],
  ['HEIC of 50 megapixels', { format: 'heic', progressive: true, width: 8192, height: 6144 }, [resize(0.1)], 20.2, 581],
  ['HEIC as a grid', { format: 'heic', ...SIZE_12 }, [resize(0.1)], 1.2, 129],
  ['HEIC of 10 bits', { format: 'heic', depth: 16, width: 4240, height: 2832 }, [resize(0.1)], 2.5, 218],
  ['circle', {}, [{ name: 'circle', operation: 'circle', size: 3000 }], 5.6, 103],
  ['two outputs', {}, [resize(0.5), { name: 'circle', operation: 'circle', size: 2000 }], 3.3, 124],
];

describe('cost of a job', () => {
  for (const [what, changes, specs, body, measured] of MEASURED) {
    it(`is close to the measured peak, or above it: ${what}`, () => {
      const predicted = jobCost(body * MEBIBYTE, { ...PHOTO, ...changes }, specs) / MEBIBYTE;
      expect(predicted / measured).within(0.95, 2);
    });
  }

  it('counts all frames if the decoder keeps them all or they are scaled one by one, otherwise one', () => {
    const frames = (format: 'gif' | 'webp', count: number, scale: number) =>
      jobCost(0, { ...PHOTO, format, width: 800, height: 600, frames: count }, [resize(scale)]);
    expect(frames('webp', 50, 1)).above(frames('webp', 1, 1) + 49 * 4 * 800 * 600);
    expect(frames('gif', 50, 0.1)).above(frames('gif', 1, 0.1) + 49 * 4 * 800 * 600);
    expect(frames('gif', 50, 1)).above(frames('gif', 1, 1) + 49 * 4 * 800 * 600);
    const toWebp = (count: number) =>
      jobCost(0, { ...PHOTO, format: 'gif', width: 800, height: 600, frames: count }, [resize(1, { format: 'webp' })]);
    expect(toWebp(50)).below(toWebp(2) + 48 * 2 * 800 * 600);
  });

  it('counts the whole picture where extra channels are dropped before it is scaled', () => {
    const photo = { ...PHOTO, format: 'tiff', progressive: false } as const;
    const cost = (header: typeof PHOTO) => jobCost(0, header, [resize(0.1)]);
    expect(cost({ ...photo, channels: 4, extras: 1 })).at.least(cost(photo) + 3 * PHOTO.width * PHOTO.height);
  });

  it('counts the transparency that padding brings', () => {
    const box: OutputSpec = {
      name: 'resize',
      operation: 'resize',
      width: 2000,
      height: 2000,
      format: 'webp',
      fit: 'cover',
    };
    expect(jobCost(0, PHOTO, [{ ...box, fit: 'contain' }])).above(jobCost(0, PHOTO, [box]));
  });

  it('counts outputs that wait for others, and fits 16 pictures of web size into the default budget', () => {
    const photo = { ...PHOTO, width: 4000, height: 3000 };
    const pictures = (count: number) =>
      Array.from(
        { length: count },
        (_, index): OutputSpec => ({ name: `w${index}`, operation: 'resize', width: 800, format: 'webp' }),
      );
    const costs = [1, 2, 16].map((count) => jobCost(4 * MEBIBYTE, photo, pictures(count)));
    const [one = 0, two = 0, all = 0] = costs;
    expect(two).to.be.above(one);
    expect(all - two).to.be.closeTo(14 * (two - one), 14);
    expect(all).to.be.below(commonSettings.memoryMb.parse(undefined) * MEBIBYTE);
  });

  describe('of a phone’s picture of 50 megapixels in a file of 25 MiB fits into the default budget', () => {
    const phone = { ...PHOTO, width: 8160, height: 6144 };
    const labels: OutputSpec = { name: 'labels', operation: 'classify', top_k: 5 };
    const jobs: readonly (readonly [string, OutputSpec[]])[] = [
      ['half its size, with labels', [resize(0.5), labels]],
      ['1600 pixels wide, with labels', [{ name: 'resize', operation: 'resize', width: 1600 }, labels]],
      ['full size as JPEG', [resize(1, { format: 'jpeg' })]],
      [
        'four outputs',
        [
          { name: 'thumb', operation: 'resize', width: 200, height: 200, fit: 'cover' },
          { name: 'hero', operation: 'resize', width: 1600, format: 'webp' },
          { name: 'avatar', operation: 'circle', size: 128 },
          labels,
        ],
      ],
    ];
    for (const [what, changes] of [
      ['progressive JPEG', { progressive: true }],
      ['progressive JPEG turned by EXIF', { progressive: true, orientation: 6 }],
      ['AVIF', { format: 'avif' }],
      ['AVIF of 10 bits', { format: 'avif', depth: 16 }],
      ['HEIC', { format: 'heic' }],
      ['HEIC of 10 bits', { format: 'heic', depth: 16 }],
    ] as const) {
      for (const [job, specs] of jobs) {
        it(`${what}: ${job}`, () => {
          const cost = jobCost(25 * MEBIBYTE, { ...phone, ...changes }, specs);
          expect(cost).to.be.at.most(commonSettings.memoryMb.parse(undefined) * MEBIBYTE);
        });
      }
    }
  });

  it('is a whole number of bytes, even for the narrowest pictures', () => {
    for (const [width, height] of [
      [16_384, 1],
      [1, 16_384],
      [1, 1],
    ] as const) {
      const specs: OutputSpec[] = [resize(1), { name: 'classify', operation: 'classify', top_k: 5 }];
      const cost = jobCost(100, { ...PHOTO, width, height }, specs);
      expect(cost)
        .satisfy(Number.isSafeInteger)
        .within(4 * MEBIBYTE, 100 * MEBIBYTE);
    }
  });
});
