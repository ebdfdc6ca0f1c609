import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

/** Indexes of the tiny model's three real classes: the channel that is brightest after normalization. */
export const TINY_CLASSES = { red: 0, green: 1, blue: 2 } as const;
const CLASSES = 1000;
const WEIGHT = 4;

/**
 * Writes `tiny.onnx` and synset.txt to a folder and resolves with the .onnx file's path. The model has the real one's
 * interface; its logits are the means of the three channels, times 4, for classes 0 to 2, and 0 for all others.
 */
export async function writeTinyModel(folder: string, name = 'tiny.onnx'): Promise<string> {
  await mkdir(folder, { recursive: true });
  const path = join(folder, name);
  await writeFile(path, tinyModel());
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

/** An ONNX ModelProto (onnx/onnx.proto, IR version 7, opset 12): ReduceMean over height and width, then MatMul. */
export function tinyModel(): Uint8Array {
  const weights = new Float32Array(3 * CLASSES);
  for (const channel of Object.values(TINY_CLASSES)) weights[channel * CLASSES + channel] = WEIGHT;
  const mean = node('ReduceMean', ['input'], 'means', [
    attribute('axes', [varint(8, 2), varint(8, 3), varint(20, 7)]),
    attribute('keepdims', [varint(3, 0), varint(20, 2)]),
  ]);
  const product = node('MatMul', ['means', 'weights'], 'output', []);
  const initializer = message(5, [
    varint(1, 3),
    varint(1, CLASSES),
    varint(2, 1),
    text(8, 'weights'),
    bytes(9, new Uint8Array(weights.buffer)),
  ]);
  const graph = message(7, [
    mean,
    product,
    text(2, 'tiny'),
    initializer,
    port(11, 'input', [3, 224, 224]),
    port(12, 'output', [CLASSES]),
  ]);
  return Buffer.concat([varint(1, 7), graph, message(8, [text(1, ''), varint(2, 12)])]);
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
