import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

/** Indexes of the tiny model's three real classes: the channel that is brightest after normalization. */
export const TINY_CLASSES = { red: 0, green: 1, blue: 2 } as const;
const CLASSES = 1000;
const WEIGHT = 4;
/** Of ReduceMean: over height and width, without keeping them. */
const MEAN_ATTRIBUTES = [
  attribute('axes', [varint(8, 2), varint(8, 3), varint(20, 7)]),
  attribute('keepdims', [varint(3, 0), varint(20, 2)]),
];

/**
 * Writes `tiny.onnx` and synset.txt to a folder and resolves with the .onnx file's path. The model has the real one's
 * interface; its logits are the means of the three channels, times 4, for classes 0 to 2, and 0 for all others.
 */
export async function writeTinyModel(folder: string, name = 'tiny.onnx', file = tinyModel()): Promise<string> {
  await mkdir(folder, { recursive: true });
  const path = join(folder, name);
  await writeFile(path, file);
  await writeFile(join(folder, 'synset.txt'), tinySynset());
  return path;
}

/** 1000 classes; the first three are "red", "green" and "blue". */
export function tinySynset(): string {
  const names = ['red, scarlet', 'green', 'blue'];
  const lines = Array.from({ length: CLASSES }, (_, index) => {
    return `n${String(index).padStart(8, '0')} ${names[index] ?? `class ${index}`}`;
  });
  return `${lines.join('\n')}\n`;
}

/** How a model rounds its input to 8 bits. */
export interface Rounding {
  readonly scale: number;
  readonly zeroPoint: number;
  /** The operator that reads the rounded values; by default DequantizeLinear. */
  readonly reader?: string;
  /** The scale with which it reads them; by default the same. */
  readonly readerScale?: number;
  readonly opset?: number;
}

/** The tiny model in QDQ form: its input is rounded to multiples of `scale`. */
export function quantizedModel({ scale, zeroPoint, ...rest }: Rounding): Uint8Array {
  const { reader = 'DequantizeLinear', readerScale = scale, opset = 12 } = rest;
  const quantizers = [
    node('QuantizeLinear', ['input', 'scale', 'zero'], 'levels', []),
    node(reader, ['levels', 'readerScale', 'zero'], 'restored', []),
  ];
  const constants = [
    scalar('scale', 1, new Uint8Array(Float32Array.of(scale).buffer)),
    scalar('readerScale', 1, new Uint8Array(Float32Array.of(readerScale).buffer)),
    scalar('zero', 2, Uint8Array.of(zeroPoint)),
  ];
  return channelMeans('restored', quantizers, constants, opset);
}

/** The tiny model, but it sees only the left half of the picture. */
export function leftModel(): Uint8Array {
  const slice = node('Slice', ['input', 'start', 'end', 'axis'], 'left', []);
  const constants = Object.entries({ start: 0, end: 112, axis: 3 }).map(([name, value]) =>
    message(5, [
      varint(1, 1),
      varint(2, 7),
      text(8, name),
      bytes(9, new Uint8Array(BigInt64Array.of(BigInt(value)).buffer)),
    ]),
  );
  return channelMeans('left', [slice], constants, 12);
}

/**
 * A model in QOperator form with the real one's interface. It rounds the channels' means to whole numbers and gives
 * class 0 the sum of red and green, class 1 the sum of red and blue, each times 127: more than 16 bits can hold.
 */
export function integerModel(): Uint8Array {
  const weights = new Uint8Array(3 * CLASSES);
  for (const place of [0, 1, CLASSES, 2 * CLASSES + 1]) weights[place] = 127;
  const mean = node('ReduceMean', ['input'], 'means', MEAN_ATTRIBUTES);
  const constants = [
    scalar('one', 1, new Uint8Array(Float32Array.of(1).buffer)),
    scalar('zero', 2, Uint8Array.of(0)),
    scalar('weightZero', 3, Uint8Array.of(0)),
    message(5, [varint(1, 3), varint(1, CLASSES), varint(2, 3), text(8, 'weights'), bytes(9, weights)]),
  ];
  const nodes = [
    mean,
    node('QuantizeLinear', ['means', 'one', 'zero'], 'levels', []),
    node('MatMulInteger', ['levels', 'weights', 'zero', 'weightZero'], 'sums', []),
    node('Cast', ['sums'], 'output', [attribute('to', [varint(3, 1), varint(20, 2)])]),
  ];
  return model(nodes, constants, 12);
}

/** An ONNX ModelProto (onnx/onnx.proto, IR version 7, opset 12): ReduceMean over height and width, then MatMul. */
export function tinyModel(): Uint8Array {
  return channelMeans('input', [], [], 12);
}

function channelMeans(input: string, before: Uint8Array[], constants: Uint8Array[], opset: number): Uint8Array {
  const weights = new Float32Array(3 * CLASSES);
  for (const channel of Object.values(TINY_CLASSES)) weights[channel * CLASSES + channel] = WEIGHT;
  const mean = node('ReduceMean', [input], 'means', MEAN_ATTRIBUTES);
  const product = node('MatMul', ['means', 'weights'], 'output', []);
  const initializer = message(5, [
    varint(1, 3),
    varint(1, CLASSES),
    varint(2, 1),
    text(8, 'weights'),
    bytes(9, new Uint8Array(weights.buffer)),
  ]);
  return model([...before, mean, product], [initializer, ...constants], opset);
}

function model(nodes: Uint8Array[], constants: Uint8Array[], opset: number): Uint8Array {
  const graph = message(7, [
    ...nodes,
    text(2, 'tiny'),
    ...constants,
    port(11, 'input', [3, 224, 224]),
    port(12, 'output', [CLASSES]),
  ]);
  return Buffer.concat([varint(1, 7), graph, message(8, [text(1, ''), varint(2, opset)])]);
}

/** A TensorProto without dimensions. */
function scalar(name: string, dataType: number, value: Uint8Array): Uint8Array {
  return message(5, [varint(2, dataType), text(8, name), bytes(9, value)]);
}

function node(operator: string, inputs: string[], output: string, attributes: Uint8Array[]): Uint8Array {
  return message(1, [...inputs.map((name) => text(1, name)), text(2, output), text(4, operator), ...attributes]);
}

function attribute(name: string, fields: Uint8Array[]): Uint8Array {
  return message(5, [text(1, name), ...fields]);
}

/** A ValueInfoProto: float32 [batch, …sides]. */
function port(field: number, name: string, sides: number[]): Uint8Array {
  const dimensions = [message(1, [text(2, 'batch')]), ...sides.map((side) => message(1, [varint(1, side)]))];
  const tensorType = message(1, [varint(1, 1), message(2, dimensions)]);
  return message(field, [text(1, name), message(2, [tensorType])]);
}

// Protocol Buffers wire format: type 0 is a varint, type 2 a length and bytes.

function varint(field: number, value: number): Uint8Array {
  return Buffer.from([...encodeVarint(field << 3), ...encodeVarint(value)]);
}

function bytes(field: number, value: Uint8Array): Uint8Array {
  return Buffer.concat([Buffer.from([...encodeVarint((field << 3) | 2), ...encodeVarint(value.byteLength)]), value]);
}

function text(field: number, value: string): Uint8Array {
  return bytes(field, Buffer.from(value));
}

function message(field: number, parts: Uint8Array[]): Uint8Array {
  return bytes(field, Buffer.concat(parts));
}

function encodeVarint(value: number): number[] {
  const low = value & 0x7f;
  return value > 0x7f ? [low | 0x80, ...encodeVarint(value >>> 7)] : [low];
}
