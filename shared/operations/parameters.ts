import color from 'color';
import { z } from 'zod';
import { type DarkroomError, invalid } from '../errors.ts';
import { MAX_SIDE } from './bounds.ts';

/** A decimal number without a sign. Number() would also take hexadecimal, Infinity and the empty text. */
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

/** A CSS colour, read as `#rrggbb` or `#rrggbbaa`; the `#` is optional, because a URL would have to escape it. */
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

/** The wording of the message about an invalid parameter. */
export interface ReadOptions {
  /** The text after the field's name in the message, such as " of the output thumb". */
  readonly where?: string;
  /** The values as the client wrote them, when {@link fromTexts} has converted them. */
  readonly shown?: Readonly<Record<string, unknown>>;
}

/** Reads parameters by `schema`. Throws BAD_REQUEST for the first one that is unknown or invalid. */
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
 * Converts text fields to the types in `schema`, and ignores the space around them. A text that cannot be converted is
 * returned unchanged, and {@link readParameters} refuses it.
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

/** The expected value of a parameter, in words. */
export function expectationOf(field: unknown): string {
  if (!(field instanceof z.ZodType)) return 'a known parameter';
  const { expected } = { ...unwrap(field).meta(), ...field.meta() };
  return typeof expected === 'string' ? expected : 'another value';
}

function unknownField(schema: z.ZodObject, name: string, where: string): DarkroomError {
  return invalid(`one of ${Object.keys(schema.shape).join(', ')}`, `a field's name${where}`, name);
}

/** The text converted to the field's type, or undefined. */
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

/** The schema inside `.optional()` and `.default()`. */
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
