import { isIP } from 'node:net';
import { availableParallelism } from 'node:os';
import { z } from 'zod';
import { DarkroomError, expectedMessage } from './errors.ts';

/**
 * Settings are declared once, as a zod object whose fields carry `.describe()` and, where they have one,
 * `.meta({ group, short, variable, shown })`. Flags, environment variables, .env.example and docs/configuration.md are
 * generated from it.
 */
export type SettingsSchema = z.ZodObject<Record<string, z.ZodType>>;

/** One setting, as flags and docs need it. */
export interface Setting {
  /** The field's name, such as `dataDir`. */
  readonly key: string;
  /** The long flag, such as `--data-dir`. */
  readonly flag: string;
  /** The short flag, such as `-p`. */
  readonly short: string | undefined;
  /** The environment variable, such as `DARKROOM_DATA_DIR`. */
  readonly variable: string;
  readonly description: string;
  /** Its heading in help and docs, such as "Limits". */
  readonly group: string;
  /** The default as text; empty where there is none. */
  readonly defaultText: string;
  /** True for a switch that takes no value. */
  readonly isSwitch: boolean;
}

const metaSchema = z.object({
  group: z.string().default('Other'),
  short: z.string().optional(),
  /** The expected value in words, for a schema whose own checks give an unclear text. */
  expected: z.string().optional(),
  variable: z.string().optional(),
  shown: z.string().optional(),
});

/** A TCP port, 1 to 65535; the setting's description says what 0 means. */
export const port = z.coerce.number().int().min(0).max(65_535);
/** A whole number of at least one. */
export const positive = z.coerce.number().int().positive();
/** A switch: true, 1, yes or on; false, 0, no or off. */
export const toggle = z.union([z.boolean(), z.stringbool()]).meta({ expected: 'true or false' });
/** An address to listen on; IPv6 also with a zone, such as fe80::1%eth0 (RFC 4007, section 11). */
export const ipAddress = z
  .string()
  .refine((text) => isIP(text) !== 0)
  .meta({ expected: 'an IPv4 or IPv6 address, such as 127.0.0.1 or ::1,' });
/** An optional text; the empty text counts as none. */
export const optionalText = z
  .string()
  .transform((text) => (text === '' ? undefined : text))
  .optional();

/** Settings that both tiers have: folder, work, token, picture limits, log level. */
export const commonSettings = {
  dataDir: z
    .string()
    .min(1)
    .default('./data')
    .meta({ group: 'Storage' })
    .describe('folder for task records, pictures and the classifier'),
  threads: positive
    .max(1024)
    .default(availableParallelism())
    .meta({ group: 'Work', shown: 'the number of cores' })
    .describe('worker threads of Server B'),
  jobsPerThread: positive
    .max(16)
    .default(2)
    .meta({ group: 'Work' })
    .describe(
      'most jobs that one thread runs at once; of jobs that need 128 MiB or more, Server B runs one for each thread',
    ),
  memoryMb: positive
    .min(64)
    .default(1536)
    .meta({ group: 'Work' })
    .describe(
      'most memory that Server B reserves for inputs, decoded pictures and outputs, in MiB; a picture that needs more is refused',
    ),
  model: optionalText
    .meta({ group: 'Work' })
    .describe(
      'the classifier: an .onnx file, with synset.txt in the same folder; without it, the one in the data folder',
    ),
  modelFetch: toggle
    .default(true)
    .meta({ group: 'Work' })
    .describe('download the classifier if the data folder has none'),
  /** One variable for both tiers, because their values must be equal. */
  token: optionalText
    .meta({ group: 'Access', variable: 'DARKROOM_TOKEN' })
    .describe('secret that Server A sends to Server B; generated at start if one command starts both'),
  maxPixels: positive
    .default(100_000_000)
    .meta({ group: 'Limits' })
    .describe('most pixels of one picture, over all its frames'),
  maxSide: positive
    .max(65_535)
    .default(16_384)
    .meta({ group: 'Limits' })
    .describe('longest side of a picture, in pixels'),
  maxDecodedMb: positive.default(400).meta({ group: 'Limits' }).describe('largest decoded size of one picture, in MiB'),
  maxFrames: positive
    .default(1000)
    .meta({ group: 'Limits' })
    .describe('most frames of all animations that one task makes'),
  maxAnimationSeconds: positive
    .default(10)
    .meta({ group: 'Limits' })
    .describe(
      'longest CPU time of all animations that one task makes, in seconds, as estimated for noise, the hardest picture',
    ),
  heic: toggle.default(true).meta({ group: 'Limits' }).describe('read HEIC, the format of iPhones'),
  logLevel: z
    .enum(['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'])
    .default('info')
    .meta({ group: 'Log' })
    .describe('lowest level of log lines on standard error'),
} as const;

/** The limits of a picture; both tiers check them. */
export interface PictureLimits {
  readonly maxPixels: number;
  readonly maxSide: number;
  readonly maxDecodedMb: number;
  readonly maxFrames: number;
  readonly maxAnimationSeconds: number;
  /** False where HEIC is refused. */
  readonly heic?: boolean;
}

/** Each setting of a schema with its flag and its environment variable. */
export function describeSettings(schema: SettingsSchema, prefix: string): Setting[] {
  return Object.entries(schema.shape).map(([key, field]) => {
    const words = key.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
    const meta = metaOf(field);
    const preset = field.safeParse(undefined);
    const value = preset.success ? preset.data : undefined;
    return {
      key,
      flag: `--${words}`,
      short: meta.short,
      variable: meta.variable ?? prefix + words.replaceAll('-', '_').toUpperCase(),
      description: field.description ?? '',
      group: meta.group,
      defaultText: meta.shown ?? (value === undefined ? '' : String(value)),
      isSwitch: typeof value === 'boolean',
    };
  });
}

/**
 * The settings from flags, then the environment, then the defaults; the caller has already merged `.env` into the
 * environment. Throws BAD_REQUEST that names each flag or variable with an invalid value.
 */
export function resolveSettings<Schema extends SettingsSchema>(
  schema: Schema,
  prefix: string,
  flags: Readonly<Record<string, unknown>>,
  environment: Readonly<Record<string, string | undefined>>,
): z.infer<Schema> {
  const settings = describeSettings(schema, prefix);
  const raw: Record<string, unknown> = {};
  const origin = new Map<PropertyKey, string>();
  for (const setting of settings) {
    const fromFlag = flags[setting.key];
    const fromEnvironment = environment[setting.variable];
    if (fromFlag === undefined && (fromEnvironment === undefined || fromEnvironment === '')) continue;
    raw[setting.key] = fromFlag ?? fromEnvironment;
    origin.set(setting.key, fromFlag === undefined ? setting.variable : setting.flag);
  }
  const parsed = schema.safeParse(raw);
  const faults = parsed.success ? blankNumbers(raw, parsed.data) : parsed.error.issues;
  if (parsed.success && faults.length === 0) return parsed.data;
  const lines = faults.map((fault) => {
    const key = String(fault.path[0] ?? '');
    return expectedMessage(expectationOf(fault, schema.shape[key]), origin.get(key) ?? key, raw[key]);
  });
  throw new DarkroomError('BAD_REQUEST', lines.join('; '));
}

/** Why a value is invalid: zod's issue, or our own message. */
type Fault =
  | z.core.$ZodIssue
  | { readonly code: 'blank'; readonly path: readonly PropertyKey[]; readonly message: string };

/** The expected value, in words. */
function expectationOf(fault: Fault, field: z.ZodType | undefined): string {
  const stated = field === undefined ? undefined : metaOf(field).expected;
  if (stated !== undefined) return stated;
  switch (fault.code) {
    case 'too_big':
      return `at most ${fault.maximum}`;
    case 'too_small':
      return `${fault.inclusive === false ? 'more than' : 'at least'} ${fault.minimum}`;
    case 'invalid_type':
      return fault.expected === 'int' ? 'a whole number' : `a ${fault.expected}`;
    case 'invalid_value':
      return `one of ${fault.values.map(String).join(', ')}`;
    default:
      return fault.message;
  }
}

/** A field's meta merged with that of its inner field: `.default()` and `.optional()` do not pass it on. */
function metaOf(field: z.ZodType): z.infer<typeof metaSchema> {
  const inner = 'innerType' in field.def && field.def.innerType instanceof z.ZodType ? field.def.innerType : undefined;
  return metaSchema.parse({ ...inner?.meta(), ...field.meta() });
}

/** Finds blank numbers. `-p "$PORT"` with PORT unset is a mistake, but Number('') is 0, and 0 may be a valid value. */
function blankNumbers(raw: Readonly<Record<string, unknown>>, values: Readonly<Record<string, unknown>>): Fault[] {
  const isBlank = (value: unknown) => typeof value === 'string' && value.trim() === '';
  const keys = Object.keys(raw).filter((key) => isBlank(raw[key]) && typeof values[key] === 'number');
  return keys.map((key) => ({ code: 'blank', path: [key], message: 'a number' }));
}

/** The settings as environment variables, for a process that reads the same schema. */
export function toEnvironment(
  schema: SettingsSchema,
  prefix: string,
  values: Readonly<Record<string, unknown>>,
): Record<string, string> {
  const variables: Record<string, string> = {};
  for (const setting of describeSettings(schema, prefix)) {
    const value = values[setting.key];
    if (value !== undefined) variables[setting.variable] = String(value);
  }
  return variables;
}
