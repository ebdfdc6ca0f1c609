import sharp, { type Sharp } from 'sharp';

/** A generated picture of one kind, with a name that says which. */
export interface PictureOfKind {
  readonly name: string;
  readonly make: () => Promise<Buffer>;
}

/** Pixels of every generated picture; odd, so that rounding shows. */
const WIDTH = 45;
const HEIGHT = 31;
const FRAMES = 3;
/** Colour models, with the channels that sharp makes them from. */
const COLOURS = ['rgb', 'rgba', 'grey', 'grey-alpha'] as const;
type Colours = (typeof COLOURS)[number];
const PROFILES = ['none', 'srgb', 'p3'] as const;
type Profile = (typeof PROFILES)[number];

/** How a format is written, by the name of the variant. */
type Writers = Readonly<Record<string, (picture: Sharp) => Sharp>>;

const STILL: Readonly<Record<string, Writers>> = {
  jpeg: {
    'baseline 4:2:0': (picture) => picture.jpeg({ quality: 90, mozjpeg: false }),
    'progressive 4:4:4': (picture) => picture.jpeg({ quality: 95, progressive: true, chromaSubsampling: '4:4:4' }),
  },
  png: {
    '8 bits': (picture) => picture.png(),
    'palette, interlaced': (picture) => picture.png({ palette: true, progressive: true }),
    '16 bits': (picture) => picture.toColourspace('rgb16').png(),
  },
  webp: {
    lossy: (picture) => picture.webp({ quality: 90, effort: 0 }),
    lossless: (picture) => picture.webp({ lossless: true, effort: 0 }),
  },
  avif: {
    '8 bits': (picture) => picture.avif({ quality: 80, effort: 0 }),
    '10 bits 4:2:0': (picture) => picture.avif({ quality: 80, effort: 0, bitdepth: 10, chromaSubsampling: '4:2:0' }),
  },
  gif: { plain: (picture) => picture.gif({ effort: 1 }) },
  tiff: {
    'LZW strips': (picture) => picture.tiff({ compression: 'lzw', predictor: 'horizontal' }),
    'deflate tiles': (picture) => picture.tiff({ compression: 'deflate', tile: true, tileWidth: 32, tileHeight: 32 }),
    uncompressed: (picture) => picture.tiff({ compression: 'none' }),
  },
};

const ANIMATED: Writers = {
  'gif, one palette a frame': (picture) => picture.gif({ effort: 1, interFrameMaxError: 0 }),
  'webp, lossy': (picture) => picture.webp({ quality: 90, effort: 0 }),
  'webp, lossless': (picture) => picture.webp({ lossless: true, effort: 0 }),
};

/** One picture of each kind: every format and variant × colours × profile, each with one of the eight orientations. */
export function pictureKinds(): PictureOfKind[] {
  let next = 0;
  const stills = Object.entries(STILL).flatMap(([format, writers]) =>
    Object.entries(writers).flatMap(([variant, write]) =>
      COLOURS.flatMap((colours) =>
        PROFILES.flatMap((profile) =>
          [0, 1].map((round): PictureOfKind => {
            // Three apart, so that each kind of picture meets different orientations.
            next += 3;
            const orientation = 1 + ((next + round) % 8);
            const name = `${format}, ${variant}, ${colours}, profile ${profile}, orientation ${orientation}`;
            return { name, make: () => write(draw(colours, profile, orientation)).toBuffer() };
          }),
        ),
      ),
    ),
  );
  const animations = Object.entries(ANIMATED).flatMap(([variant, write]) =>
    (['rgb', 'rgba'] as const).map(
      (colours): PictureOfKind => ({
        name: `animation, ${variant}, ${colours}`,
        make: async () => write(await animate(colours)).toBuffer(),
      }),
    ),
  );
  const cmyk: PictureOfKind[] = [
    { name: 'jpeg, CMYK', make: () => draw('rgb', 'none', 1).toColourspace('cmyk').jpeg({ quality: 95 }).toBuffer() },
    {
      name: 'tiff, CMYK',
      make: () => draw('rgb', 'none', 1).toColourspace('cmyk').tiff({ compression: 'lzw' }).toBuffer(),
    },
  ];
  return [...stills, ...animations, ...cmyk];
}

function draw(colours: Colours, profile: Profile, orientation: number): Sharp {
  const drawn = paint(colours, 0).withMetadata({ orientation });
  return profile === 'none' ? drawn : drawn.withIccProfile(profile);
}

async function animate(colours: Colours): Promise<Sharp> {
  const frames = Array.from({ length: FRAMES }, (_, frame) =>
    paint(colours, frame * 9)
      .png()
      .toBuffer(),
  );
  return sharp(await Promise.all(frames), { join: { animated: true } });
}

/** Soft waves that differ in each corner and channel; transparent towards the right where there is alpha. */
function paint(colours: Colours, shift: number): Sharp {
  const channels = colours === 'rgba' || colours === 'grey-alpha' ? 4 : 3;
  const isGrey = colours === 'grey' || colours === 'grey-alpha';
  const pixels = new Uint8Array(WIDTH * HEIGHT * channels);
  for (let y = 0; y < HEIGHT; y += 1) {
    for (let x = 0; x < WIDTH; x += 1) {
      const at = (y * WIDTH + x) * channels;
      const wave = (across: number, down: number) => 128 + 100 * Math.sin((x * across + y * down + shift) / 14);
      pixels[at] = wave(1, 2);
      pixels[at + 1] = isGrey ? wave(1, 2) : wave(2, -1);
      pixels[at + 2] = isGrey ? wave(1, 2) : wave(-1, 1);
      if (channels === 4) pixels[at + 3] = Math.min(255, 40 + 5 * (WIDTH - x));
    }
  }
  const picture = sharp(pixels, { raw: { width: WIDTH, height: HEIGHT, channels } });
  return isGrey ? picture.toColourspace('b-w') : picture;
}
