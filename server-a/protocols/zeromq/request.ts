import { isUtf8 } from 'node:buffer';
import { z } from 'zod';
import { invalid } from '../../../shared/errors.ts';
import { parseJson } from '../../../shared/json.ts';
import { MAX_SIDE } from '../../../shared/operations/bounds.ts';
import type { OutputSpec } from '../../../shared/operations/index.ts';
import { readOutputs } from '../../../shared/operations/outputs.ts';
import { taskIdSchema } from '../../../shared/task.ts';
import type { Presets } from '../../tasks/presets.ts';

const requestSchema = z.looseObject({});
const sideSchema = z.int().min(1).max(MAX_SIDE);

/** The members of a request, not validated yet. */
export type Request = Readonly<Record<string, unknown>>;

/** The JSON object in the request's only frame. Throws BAD_REQUEST. */
export function readRequest(frames: readonly Buffer[]): Request {
  const [frame] = frames;
  if (frame === undefined || frames.length > 1) throw invalid('one frame', 'the request', frames.length);
  const request = requestSchema.safeParse(parse(frame));
  if (request.success) return request.data;
  throw invalid('a JSON object', 'the request', frame.toString('utf8', 0, 80));
}

/** The picture's bytes, from padded base64 (RFC 4648, section 4), with or without line breaks. Throws BAD_REQUEST. */
export function readImageData({ image_data: text }: Request): Buffer {
  if (typeof text !== 'string') throw invalid('base64', 'image_data', shortOf(text));
  const bytes = Buffer.from(text, 'base64');
  if (isBase64(text, bytes.length) || isBase64(text.replace(/\s+/g, ''), bytes.length)) return bytes;
  throw invalid('base64', 'image_data', text.slice(0, 80));
}

/** True when the whole text was base64 of `bytes` bytes: Node skips other characters, and accepts the URL-safe ones. */
function isBase64(text: string, bytes: number): boolean {
  const padding = /={0,2}$/.exec(text.slice(-2))?.[0].length ?? 0;
  return bytes === (text.length / 4) * 3 - padding && !text.includes('-') && !text.includes('_');
}

/** The id of a kept picture. Throws BAD_REQUEST for a value that cannot be one. */
export function readImageId({ image_id }: Request): string {
  const id = taskIdSchema.safeParse(image_id);
  if (id.success) return id.data;
  throw invalid('the id of a kept picture', 'image_id', shortOf(image_id));
}

/** A side in pixels. Throws BAD_REQUEST. */
export function readSide(request: Request, name: 'width' | 'height'): number {
  const side = sideSchema.safeParse(request[name]);
  if (side.success) return side.data;
  throw invalid(`a whole number in [1, ${MAX_SIDE}]`, name, shortOf(request[name]));
}

/** The outputs of the request's `preset` and its list `outputs`, or null without both. Throws BAD_REQUEST. */
export function readSpecs({ outputs, preset }: Request, presets: Presets): OutputSpec[] | null {
  if (outputs === undefined && preset === undefined) return null;
  if (preset !== undefined && typeof preset !== 'string') {
    throw invalid('the name of a preset', 'preset', shortOf(preset));
  }
  return presets.resolve(preset, outputs === undefined ? [] : readOutputs(outputs, shortOf(outputs)));
}

/** The name of an output to return instead of the picture itself, or undefined. Throws BAD_REQUEST. */
export function readName({ name }: Request): string | undefined {
  if (name === undefined || typeof name === 'string') return name;
  throw invalid('the name of an output', 'name', shortOf(name));
}

function parse(frame: Buffer): unknown {
  if (!isUtf8(frame)) throw invalid('JSON in UTF-8', 'the request', `${frame.length} bytes of something else`);
  return parseJson(frame.toString());
}

/** A short description of a value for error messages. */
function shortOf(value: unknown): unknown {
  if (Array.isArray(value)) return `${value.length} entries`;
  return typeof value === 'object' && value !== null ? 'an object' : value;
}
