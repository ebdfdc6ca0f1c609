import {
  DATA_TYPE,
  type Model,
  type Node,
  readModel,
  readName,
  readTensor,
  writeModel,
  writeScalar,
} from './onnx-messages.ts';

/** The first version of ONNX's operators whose Clip takes its limits as tensors. */
const CLIP_OPSET = 11;
/** Operators with graphs inside, which may read any tensor of the graph around them. */
const WITH_GRAPHS: ReadonlySet<string> = new Set(['If', 'Loop', 'Scan']);

/** A tensor that holds one number. */
interface Scalar {
  readonly dataType: number;
  readonly value: number;
}

/** The values that an 8-bit tensor can stand for. */
interface Range {
  readonly least: number;
  readonly greatest: number;
}

/**
 * A quantized model in QDQ form that computes with floats: each pair of QuantizeLinear and DequantizeLinear, which rounds
 * a tensor to one of 256 values, becomes a Clip to the range of these values. The weights stay what they are. Gives the
 * bytes unchanged when there is no such pair, and when they are no model: ONNX Runtime says what is wrong with them.
 *
 * Rounding makes the labels of MobileNetV2 less exact, and different on processors with and without VNNI (docs/labels.md).
 */
export function withoutRounding(file: Uint8Array): Uint8Array {
  const model = readIfPossible(file);
  if (model === null) return file;
  const { graph } = model;
  const opset = model.opsetImport.find(({ domain }) => domain === '')?.version ?? 0;
  if (opset < CLIP_OPSET || graph.node.some(({ opType }) => WITH_GRAPHS.has(opType))) return file;
  const ranges = roundedTensors(model);
  if (ranges.size === 0) return file;
  const limits: Uint8Array[] = [];
  const node = graph.node.map((one): Node => {
    const [output = ''] = one.output;
    const [input = ''] = one.input;
    if (isStandard(one, 'DequantizeLinear') && ranges.has(input)) return renamed(one, 'Identity', [input]);
    const range = isStandard(one, 'QuantizeLinear') ? ranges.get(output) : undefined;
    if (range === undefined) return one;
    const names = [`${output}_least`, `${output}_greatest`];
    limits.push(writeScalar(names[0] ?? '', range.least), writeScalar(names[1] ?? '', range.greatest));
    return renamed(one, 'Clip', [input, ...names]);
  });
  return writeModel({ ...model, graph: { ...graph, node, initializer: [...graph.initializer, ...limits] } });
}

function readIfPossible(file: Uint8Array): Model | null {
  try {
    return readModel(file);
  } catch {
    return null;
  }
}

/** The tensors that are quantized and only dequantized again, with their ranges. */
function roundedTensors({ graph }: Model): Map<string, Range> {
  const scalars = readScalars(graph.initializer);
  const results = new Set(graph.output.map(readName));
  const readers = new Map<string, Node[]>();
  for (const node of graph.node) {
    for (const name of node.input) readers.set(name, [...(readers.get(name) ?? []), node]);
  }
  const ranges = new Map<string, Range>();
  for (const node of graph.node) {
    const [name] = node.output;
    if (name === undefined || results.has(name) || !isStandard(node, 'QuantizeLinear')) continue;
    const range = rangeOf(node, scalars);
    const isRestored = (readers.get(name) ?? []).every(
      (reader) => isStandard(reader, 'DequantizeLinear') && isSameRange(rangeOf(reader, scalars), range),
    );
    if (range !== null && isRestored) ranges.set(name, range);
  }
  return ranges;
}

/** The range of a node that quantizes or dequantizes a whole tensor with constants; null for any other. */
function rangeOf({ input }: Node, scalars: ReadonlyMap<string, Scalar>): Range | null {
  const [, scaleName = '', zeroName = ''] = input;
  const scale = scalars.get(scaleName);
  const zero = zeroName === '' ? { dataType: DATA_TYPE.uint8, value: 0 } : scalars.get(zeroName);
  if (scale === undefined || zero === undefined || scale.dataType !== DATA_TYPE.float) return null;
  const least = zero.dataType === DATA_TYPE.uint8 ? 0 : zero.dataType === DATA_TYPE.int8 ? -128 : null;
  if (least === null) return null;
  return { least: (least - zero.value) * scale.value, greatest: (least + 255 - zero.value) * scale.value };
}

function isSameRange(one: Range | null, other: Range | null): boolean {
  return one?.least === other?.least && one?.greatest === other?.greatest;
}

function readScalars(initializers: readonly Uint8Array[]): Map<string, Scalar> {
  const scalars = new Map<string, Scalar>();
  for (const initializer of initializers) {
    const { name, dims, dataType, floatData, int32Data, rawData } = readTensor(initializer);
    if (dims.some((side) => side !== 1)) continue;
    const value = rawData === undefined ? (floatData[0] ?? int32Data[0]) : readRaw(rawData, dataType);
    if (value !== undefined) scalars.set(name, { dataType, value });
  }
  return scalars;
}

/** The value of a scalar in `raw_data`, which is little-endian; undefined for a type that is not needed here. */
function readRaw(raw: Uint8Array, dataType: number): number | undefined {
  const view = new DataView(raw.buffer, raw.byteOffset, raw.byteLength);
  if (dataType === DATA_TYPE.float && raw.byteLength === 4) return view.getFloat32(0, true);
  if (raw.byteLength !== 1) return undefined;
  return dataType === DATA_TYPE.int8 ? view.getInt8(0) : dataType === DATA_TYPE.uint8 ? view.getUint8(0) : undefined;
}

/** True for an operator of ONNX itself, not of an extension. */
function isStandard({ opType, domain = '' }: Node, operator: string): boolean {
  return opType === operator && (domain === '' || domain === 'ai.onnx');
}

/** The node with another operator that has no attributes. */
function renamed(node: Node, opType: string, input: string[]): Node {
  return { ...node, opType, input, attribute: [] };
}
