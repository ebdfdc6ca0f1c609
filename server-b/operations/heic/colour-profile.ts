// Profiles for pictures that name their colours by a number instead of a profile (nclx; ITU-T H.273).

/** A point of the CIE 1931 diagram. */
type Chromaticity = readonly [x: number, y: number];
type Vector = readonly [number, number, number];
type Matrix = readonly [Vector, Vector, Vector];

/** Red, green and blue of the primaries that are wider than sRGB's, all with the white of D65 (H.273, table 2). */
const WIDE_PRIMARIES: ReadonlyMap<number, readonly [Chromaticity, Chromaticity, Chromaticity]> = new Map([
  [
    9,
    [
      [0.708, 0.292],
      [0.17, 0.797],
      [0.131, 0.046],
    ] as const,
  ],
  [
    12,
    [
      [0.68, 0.32],
      [0.265, 0.69],
      [0.15, 0.06],
    ] as const,
  ],
]);
const D65: Chromaticity = [0.3127, 0.329];
/** Bradford's adaptation of D65 to D50, the white of ICC profiles (ICC.1:2022, annex E). */
const TO_D50: Matrix = [
  [1.047_882, 0.022_919, -0.050_201],
  [0.029_587, 0.990_484, -0.017_059],
  [-0.009_232, 0.015_076, 0.751_678],
];
/** The curve of sRGB (IEC 61966-2-1) as a parametric curve of type 3: gamma, a, b, c, d. */
const SRGB_CURVE = [2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.040_45];

const HEADER_BYTES = 128;
const D50_XYZ: Vector = [0.9642, 1, 0.8249];

/**
 * An ICC profile for colour primaries by their number in H.273, with the curve of sRGB, which all pictures for screens
 * have. Null for sRGB's own primaries, which BT.709 has too, and for primaries that are close to them or unknown.
 */
export function profileOf(primaries: number | null): Buffer | null {
  const colours = primaries === null ? undefined : WIDE_PRIMARIES.get(primaries);
  if (colours === undefined) return null;
  const columns = adaptedPrimaries(colours);
  const curve = Buffer.concat([ascii('para'), Buffer.from([0, 0, 0, 0, 0, 3, 0, 0]), ...SRGB_CURVE.map(fixed)]);
  const text = Buffer.concat([ascii('mluc'), words(0, 1, 12, 0x656e_5553, 2, 28), Buffer.from([0, 0x20, 0, 0])]);
  return assemble([
    ['desc', text],
    ['cprt', text],
    ['wtpt', xyz(D50_XYZ)],
    ['rXYZ', xyz(columns[0])],
    ['gXYZ', xyz(columns[1])],
    ['bXYZ', xyz(columns[2])],
    ['rTRC', curve],
    ['gTRC', curve],
    ['bTRC', curve],
  ]);
}

/** XYZ of red, green and blue under D50: scaled so that together they are the white, then adapted. */
function adaptedPrimaries(colours: readonly [Chromaticity, Chromaticity, Chromaticity]): Matrix {
  const [red, green, blue] = [toXyz(colours[0]), toXyz(colours[1]), toXyz(colours[2])];
  const columns: Matrix = [
    [red[0], green[0], blue[0]],
    [red[1], green[1], blue[1]],
    [red[2], green[2], blue[2]],
  ];
  const [r, g, b] = solve(columns, toXyz(D65));
  return [multiply(TO_D50, scale(red, r)), multiply(TO_D50, scale(green, g)), multiply(TO_D50, scale(blue, b))];
}

function toXyz([x, y]: Chromaticity): Vector {
  return [x / y, 1, (1 - x - y) / y];
}

function scale([x, y, z]: Vector, by: number): Vector {
  return [x * by, y * by, z * by];
}

function multiply([first, second, third]: Matrix, vector: Vector): Vector {
  return [dot(first, vector), dot(second, vector), dot(third, vector)];
}

function dot(one: Vector, other: Vector): number {
  return one[0] * other[0] + one[1] * other[1] + one[2] * other[2];
}

/** The vector that the matrix makes `target` of, by Cramer's rule. */
function solve(matrix: Matrix, target: Vector): Vector {
  const whole = determinant(matrix);
  const replaced = (column: 0 | 1 | 2): number => {
    const row = (index: 0 | 1 | 2): Vector => {
      const [x, y, z] = matrix[index];
      const value = target[index];
      return [column === 0 ? value : x, column === 1 ? value : y, column === 2 ? value : z];
    };
    return determinant([row(0), row(1), row(2)]) / whole;
  };
  return [replaced(0), replaced(1), replaced(2)];
}

function determinant([[a, b, c], [d, e, f], [g, h, i]]: Matrix): number {
  return a * (e * i - f * h) - b * (d * i - f * g) + c * (d * h - e * g);
}

/** An ICC profile of version 4 with these tags: a display's RGB, by matrix and curves (ICC.1:2022, section 8.3). */
function assemble(tags: readonly (readonly [name: string, content: Buffer])[]): Buffer {
  let offset = HEADER_BYTES + 4 + 12 * tags.length;
  const entries: Buffer[] = [];
  const contents: Buffer[] = [];
  for (const [name, content] of tags) {
    const padded = Buffer.concat([content, Buffer.alloc((4 - (content.length % 4)) % 4)]);
    entries.push(Buffer.concat([ascii(name), words(offset, content.length)]));
    contents.push(padded);
    offset += padded.length;
  }
  const header = Buffer.alloc(HEADER_BYTES);
  header.writeUInt32BE(offset, 0);
  header.writeUInt32BE(0x0430_0000, 8);
  header.write('mntrRGB XYZ ', 12, 'latin1');
  header.write('acsp', 36, 'latin1');
  Buffer.concat(D50_XYZ.map(fixed)).copy(header, 68);
  return Buffer.concat([header, words(tags.length), ...entries, ...contents]);
}

function xyz(vector: Vector): Buffer {
  return Buffer.concat([ascii('XYZ '), words(0), ...vector.map(fixed)]);
}

/** An s15Fixed16Number. */
function fixed(value: number): Buffer {
  const buffer = Buffer.alloc(4);
  buffer.writeInt32BE(Math.round(value * 65_536));
  return buffer;
}

function words(...values: readonly number[]): Buffer {
  const buffer = Buffer.alloc(4 * values.length);
  for (const [index, value] of values.entries()) buffer.writeUInt32BE(value, 4 * index);
  return buffer;
}

function ascii(text: string): Buffer {
  return Buffer.from(text, 'latin1');
}
