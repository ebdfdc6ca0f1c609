import { z } from 'zod';
import type { ImageHeader } from '../image-header.ts';
import type { Format, Size } from './format.ts';

/** An output's name: the client chooses it, and fetches the output by it. */
export const outputNameSchema = z.string().regex(/^[a-z0-9][a-z0-9-]{0,31}$/);

/** A picture that an operation gives. */
export interface Drawing extends Size {
  readonly frames: number;
  readonly format: Format;
  /** True when some of its pixels may be transparent. */
  readonly transparent: boolean;
}

/** What is known of an output before a pixel is decoded. */
export interface Plan {
  /** The picture that comes out; null for an operation that gives data. */
  readonly drawing: Drawing | null;
  /** How many times its own size the input is needed, the larger of both directions. */
  readonly scale: number;
  /** True when every frame of the input is read, false when only the first one is. */
  readonly animated: boolean;
  /**
   * The size, where the output's pixels are the whole input scaled to it and nothing else, so that other outputs may
   * be made from them; null for a picture that is cropped, padded, turned, toned or filtered, and for data.
   */
  readonly whole: Size | null;
  /** Memory that the operation holds beside decoder and encoder, in bytes. */
  readonly workBytes: number;
}

/** Two parameters that do not go together, as "Expected …, received …" tells them. */
export interface Contradiction {
  readonly expected: string;
  readonly received: string;
}

/**
 * One operation: all that is known of it outside of `server-b/operations`. The parameters' schema is the only source
 * of their bounds: forms, JSON, gRPC, the command line and the docs follow it.
 */
export interface OperationDefinition<Parameters> {
  readonly name: string;
  /** `picture` for an operation that draws, `data` for one that answers with JSON. */
  readonly gives: 'picture' | 'data';
  /** What the JSON of a `data` operation looks like; nothing for one that draws. */
  readonly data: z.ZodType<Readonly<Record<string, unknown>>>;
  /** Null when the parameters go together. */
  contradiction(parameters: Parameters): Contradiction | null;
  plan(header: ImageHeader, parameters: Parameters): Plan;
}

/** The `data` of an operation that draws. */
export const NO_DATA = z.strictObject({});

/** The schema of an output: its name, its operation, and the operation's parameters. */
export function outputSchema<Name extends string, Shape extends z.ZodRawShape>(operation: Name, parameters: Shape) {
  return z.strictObject({ name: outputNameSchema, operation: z.literal(operation), ...parameters });
}
