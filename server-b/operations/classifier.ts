import { readFile } from 'node:fs/promises';
import type * as OnnxRuntime from 'onnxruntime-node';
import type { InferenceSession } from 'onnxruntime-node';
import type { Label } from '../../shared/operations/classify.ts';
import { MODEL_CLASSES, parseSynset, type SynsetClass } from '../model/synset.ts';

/** The side in pixels of the model's square input. */
export const MODEL_SIDE = 224;

/**
 * Settings of ONNX Runtime with which the logits do not depend on the processor (its session options' config keys):
 * weights in QDQ form become floats, and products of 8-bit numbers that are left do not saturate on x64 without VNNI.
 */
const EXACT = { disable_quant_qdq: '1', x64quantprecision: '1' };

/**
 * From this probability on, the mirror image is not classified: it would not change the label (docs/labels.md).
 */
const SURE = 0.7;

/** A loaded model with its classes. */
export class Classifier {
  readonly #runtime: typeof OnnxRuntime;
  readonly #session: InferenceSession;
  readonly #classes: readonly SynsetClass[];

  private constructor(runtime: typeof OnnxRuntime, session: InferenceSession, classes: readonly SynsetClass[]) {
    this.#runtime = runtime;
    this.#session = session;
    this.#classes = classes;
  }

  /**
   * Loads an .onnx file and the synset.txt that names its classes. It uses one CPU thread, because more are not faster.
   * Throws when a file cannot be read or is not a model, and when the model does not have this interface: input
   * `input` float32 [batch, 3, 224, 224], output `output` float32 [batch, 1000].
   */
  static async load(files: { readonly onnx: string; readonly synset: string }): Promise<Classifier> {
    const classes = parseSynset(await readFile(files.synset, 'utf8'));
    // Only here, because they take a third of a thread's start, and many threads never classify.
    const [runtime, { withoutRounding }] = await Promise.all([
      import('onnxruntime-node'),
      import('../model/unrounded.ts'),
    ]);
    const session = await runtime.InferenceSession.create(withoutRounding(await readFile(files.onnx)), {
      executionProviders: ['cpu'],
      intraOpNumThreads: 1,
      interOpNumThreads: 1,
      logSeverityLevel: 4,
      extra: { session: EXACT },
    });
    checkPort('input', session.inputMetadata, [3, MODEL_SIDE, MODEL_SIDE]);
    checkPort('output', session.outputMetadata, [MODEL_CLASSES]);
    return new Classifier(runtime, session, classes);
  }

  /**
   * The `count` most probable classes of a normalized picture [3, 224, 224], best first. If the best one is not
   * {@link SURE}, the mirror image is classified, too, and the probabilities are those of the mean logits.
   */
  async classify(values: Float32Array, count: number): Promise<Label[]> {
    const logits = await this.#run(values);
    const first = softmax(logits);
    const isSure = first.some((probability) => probability >= SURE);
    const probabilities = isSure ? first : softmax(meanOf(logits, await this.#run(mirrored(values))));
    const order = Array.from(probabilities.keys()).sort((a, b) => (probabilities[b] ?? 0) - (probabilities[a] ?? 0));
    return order.slice(0, count).map((index) => ({
      index,
      wnid: this.#classes[index]?.wnid ?? '',
      label: this.#classes[index]?.label ?? '',
      probability: Math.round((probabilities[index] ?? 0) * 1e6) / 1e6,
    }));
  }

  async #run(values: Float32Array): Promise<Float32Array> {
    const input = new this.#runtime.Tensor('float32', values, [1, 3, MODEL_SIDE, MODEL_SIDE]);
    const { output } = await this.#session.run({ input });
    const data = output?.data;
    if (!(data instanceof Float32Array) || data.length !== MODEL_CLASSES) {
      throw new Error(`Expected ${MODEL_CLASSES} float32 values from the model, received ${data?.length ?? 'nothing'}`);
    }
    return data;
  }

  /** Frees the native memory. Do not use the classifier afterwards. */
  async release(): Promise<void> {
    await this.#session.release();
  }
}

/** Probabilities that sum to 1. The greatest logit is subtracted first, so that no exponential overflows. */
export function softmax(logits: Float32Array): Float64Array {
  const greatest = logits.reduce((most, value) => Math.max(most, value), Number.NEGATIVE_INFINITY);
  const powers = Float64Array.from(logits, (value) => Math.exp(value - greatest));
  const sum = powers.reduce((total, value) => total + value, 0);
  return powers.map((value) => value / sum);
}

/** The picture with left and right exchanged. */
function mirrored(values: Float32Array): Float32Array {
  const mirror = values.slice();
  for (let start = 0; start < mirror.length; start += MODEL_SIDE) mirror.subarray(start, start + MODEL_SIDE).reverse();
  return mirror;
}

function meanOf(one: Float32Array, other: Float32Array): Float32Array {
  return one.map((value, index) => (value + (other[index] ?? 0)) / 2);
}

function checkPort(name: string, ports: readonly InferenceSession.ValueMetadata[], shape: readonly number[]): void {
  const [port, ...others] = ports;
  const expected = `float32 [batch, ${shape.join(', ')}]`;
  if (port === undefined || others.length > 0 || port.name !== name || !port.isTensor) {
    const names = ports.map((one) => one.name).join(', ');
    throw new Error(`Expected the model's only ${name} to be called '${name}', received '${names}'`);
  }
  const found = `${port.type} [${port.shape.join(', ')}]`;
  const fits = port.type === 'float32' && port.shape.length === shape.length + 1;
  if (!fits || !shape.every((side, index) => port.shape[index + 1] === side)) {
    throw new Error(`Expected ${expected} for the model's ${name}, received ${found}`);
  }
}
