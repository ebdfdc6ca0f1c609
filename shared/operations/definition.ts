import { z } from 'zod';
import type { ImageHeader } from '../image-header.ts';
import type { Format, Size } from './format.ts';

/** An output's name; the client chooses it and fetches the output by it. */
export const outputNameSchema = z.string().regex(/^[a-z0-9][a-z0-9-]{0,31}$/);

/** A picture that an operation makes. */
export interface Drawing extends Size {
  readonly frames: number;
  readonly format: Format;
  /** True when some of its pixels may be transparent. */
  readonly transparent: boolean;
  /** True for WebP and AVIF that are written without loss. */
  readonly lossless: boolean;
}

/** The facts about an output that are known before decoding. */
export interface Plan {
  /** The picture that the operation makes; null for an operation that makes data. */
  readonly drawing: Drawing | null;
  /** Scale at which the input's pixels are needed, 1 for full size; the larger of the horizontal and vertical scale. */
  readonly scale: number;
  /** True when every frame of the input is read, false when only the first one is. */
  readonly animated: boolean;
  /**
   * The output's size when its pixels are the whole input, only scaled; other outputs may then be made from them. Null
   * for a picture that is cropped, padded, turned, toned or filtered, and for data.
   */
  readonly whole: Size | null;
  /** CPU of the operation itself for all frames of an animation, without decoder and encoder, in milliseconds. */
  readonly workMs: number;
  /** Memory of the operation itself, without decoder and encoder, in bytes. */
  readonly workBytes: number;
}

/** Two parameters that exclude each other, as the two parts of the message "Expected …, received …". */
export interface Contradiction {
  readonly expected: string;
  readonly received: string;
}

/**
 * One operation: everything that code outside of `server-b/operations` knows about it. The schema is the only source of
 * the parameters' bounds: forms, JSON, gRPC, the command line and the docs use it.
 */
export interface OperationDefinition<Parameters> {
  readonly name: string;
  /** `picture` for an operation that makes a picture, `data` for one that makes JSON. */
  readonly gives: 'picture' | 'data';
  /** Schema of the JSON that a `data` operation makes; {@link NO_DATA} for an operation that makes a picture. */
  readonly data: z.ZodType<Readonly<Record<string, unknown>>>;
  /** The first contradiction among the parameters, or null. */
  contradiction(parameters: Parameters): Contradiction | null;
  plan(header: ImageHeader, parameters: Parameters): Plan;
}

/** The `data` of an operation that makes a picture. */
export const NO_DATA = z.strictObject({});

/** The schema of an output: its name, its operation, and the operation's parameters. */
export function outputSchema<Name extends string, Shape extends z.ZodRawShape>(operation: Name, parameters: Shape) {
  return z.strictObject({ name: outputNameSchema, operation: z.literal(operation), ...parameters });
}
