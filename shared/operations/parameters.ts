import color from 'color';
import { z } from 'zod';
import { type DarkroomError, invalid } from '../errors.ts';
import { MAX_SIDE } from './bounds.ts';

/** A number as people write it: no sign, no hexadecimal, no words. */
const DECIMAL = /^(\d+(\.\d*)?|\.\d+)(e[+-]?\d+)?$/i;
const WHOLE = /^\d{1,9}$/;

/** A whole number between two bounds, both included. */
export function wholeNumber(least: number, most: number) {
  return z
    .int()
    .min(least)
    .max(most)
    .meta({ expected: `a whole number in [${least}, ${most}]` });
}

/** A number between two bounds, both included. */
export function numberIn(least: number, most: number) {
  return z
    .number()
    .min(least)
    .max(most)
    .meta({ expected: `a number in [${least}, ${most}]` });
}

/** One of several words. */
export function oneOf<const Names extends readonly [string, ...string[]]>(names: Names) {
  return z.enum(names).meta({ expected: `one of ${names.join(', ')}` });
}

/** A switch. */
export const yesOrNo = z.boolean().meta({ expected: 'true or false' });

/** A side in pixels. */
export const side = wholeNumber(1, MAX_SIDE);

/** A CSS colour, given back as `#rrggbb` or `#rrggbbaa`; the `#` may be left out, as in a URL. */
export const colour = z
  .string()
  .max(100)
  .transform((text, context) => {
    const hex = toHex(text);
    if (hex !== null) return hex;
    context.addIssue({ code: 'custom', message: 'not a colour' });
    return z.NEVER;
  })
  .meta({ expected: 'a colour such as white, #ffcc00 or ffcc00' });

/** How a fault among parameters is told. */
export interface ReadOptions {
  /** What follows the field's name in the message, such as " of the output thumb". */
  readonly where?: string;
  /** The values as the client wrote them, where those that are read were made from texts. */
  readonly shown?: Readonly<Record<string, unknown>>;
}

/** Parameters as `schema` reads them. Throws BAD_REQUEST for the first that is unknown or not what it should be. */
export function readParameters<Schema extends z.ZodObject>(
  schema: Schema,
  given: Readonly<Record<string, unknown>>,
  { where = '', shown = given }: ReadOptions = {},
): z.infer<Schema> {
  const parsed = schema.safeParse(given);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  if (issue?.code === 'unrecognized_keys') throw unknownField(schema, issue.keys[0] ?? '', where);
  const name = String(issue?.path[0]);
  throw invalid(expectationOf(schema.shape[name]), `${name}${where}`, shown[name]);
}

/**
 * Text fields as values of the types that `schema` has, without the space around them. What cannot be one stays as it
 * came, for {@link readParameters} to refuse.
 */
export function fromTexts(
  schema: z.ZodObject,
  texts: Readonly<Record<string, unknown>>,
): Readonly<Record<string, unknown>> {
  const entries = Object.entries(texts).map(([name, given]) => {
    const field: unknown = schema.shape[name];
    if (typeof given !== 'string' || !(field instanceof z.ZodType)) return [name, given];
    return [name, fromText(unwrap(field), given.trim()) ?? given];
  });
  return Object.fromEntries(entries);
}

/** What a parameter should be, in words. */
export function expectationOf(field: unknown): string {
  if (!(field instanceof z.ZodType)) return 'a known parameter';
  const { expected } = { ...unwrap(field).meta(), ...field.meta() };
  return typeof expected === 'string' ? expected : 'another value';
}

function unknownField(schema: z.ZodObject, name: string, where: string): DarkroomError {
  return invalid(`one of ${Object.keys(schema.shape).join(', ')}`, `a field's name${where}`, name);
}

/** The value a text stands for, or undefined. */
function fromText(field: z.ZodType, text: string): unknown {
  if (field instanceof z.ZodUnion) {
    const values = field.options.map((option) => (option instanceof z.ZodType ? fromText(option, text) : undefined));
    return values.find((value) => value !== undefined);
  }
  if (field instanceof z.ZodNumberFormat) return WHOLE.test(text) ? Number(text) : undefined;
  if (field instanceof z.ZodNumber) return DECIMAL.test(text) ? Number(text) : undefined;
  if (field instanceof z.ZodBoolean) return booleanOf(text);
  if (field instanceof z.ZodLiteral) return WHOLE.test(text) ? Number(text) : undefined;
  return text;
}

function booleanOf(text: string): boolean | undefined {
  if (/^(true|1)$/i.test(text)) return true;
  return /^(false|0)$/i.test(text) ? false : undefined;
}

/** The schema within `.optional()` and `.default()`. */
function unwrap(field: z.ZodType): z.ZodType {
  return 'innerType' in field.def && field.def.innerType instanceof z.ZodType ? unwrap(field.def.innerType) : field;
}

function toHex(text: string): string | null {
  const trimmed = text.trim();
  try {
    const parsed = color(/^[0-9a-f]{3,8}$/i.test(trimmed) ? `#${trimmed}` : trimmed);
    const hex = parsed.alpha() === 1 ? parsed.hex() : parsed.hexa();
    return hex.toLowerCase();
  } catch {
    return null;
  }
}
