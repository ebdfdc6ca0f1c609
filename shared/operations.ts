import { z } from 'zod';

/** Picture formats read and written, by the name clients use. */
export const FORMATS = ['jpeg', 'png', 'webp', 'avif', 'gif', 'tiff'] as const;
/** How a picture is laid into a box of another shape, in CSS object-fit's words and sharp's. */
export const FITS = ['cover', 'contain', 'fill', 'inside', 'outside'] as const;
/** The longest side that may be asked for, in pixels. */
export const MAX_SIDE = 16_384;
/** The largest scale factor. */
export const MAX_SCALE_FACTOR = 10;

/** Schema of a picture format's name. */
export const formatSchema = z.enum(FORMATS);
export type Format = z.infer<typeof formatSchema>;

/** The media type of each format (IANA registry). */
export const MEDIA_TYPES: Readonly<Record<Format, string>> = {
  jpeg: 'image/jpeg',
  png: 'image/png',
  webp: 'image/webp',
  avif: 'image/avif',
  gif: 'image/gif',
  tiff: 'image/tiff',
};

/** True for formats that hold several frames; in all others a picture has one. */
export function holdsAnimation(format: Format): boolean {
  return format === 'gif' || format === 'webp';
}

/** The format of a circle for which `asked` was said: one with a place for its transparent corners, PNG unless WebP or AVIF. */
export function circleFormat(asked: Format | undefined): 'png' | 'webp' | 'avif' {
  return asked === 'webp' || asked === 'avif' ? asked : 'png';
}

const side = z.int().min(1).max(MAX_SIDE);

/** What both picture-making operations take. */
const encoding = {
  format: formatSchema.optional(),
  quality: z.int().min(1).max(100).optional(),
  grayscale: z.boolean().optional(),
};

/** Resize by a factor, or to a width and/or height in pixels; the format is the input's unless given. */
export const resizeSchema = z.strictObject({
  operation: z.literal('resize'),
  scale_factor: z.number().positive().max(MAX_SCALE_FACTOR).optional(),
  width: side.optional(),
  height: side.optional(),
  fit: z.enum(FITS).optional(),
  ...encoding,
});

/** Cut the centred circle whose diameter is the shorter side and scale it to `size` × `size` pixels. */
export const circleSchema = z.strictObject({
  operation: z.literal('circle'),
  size: side,
  ...encoding,
});

/** Classes that are named where a client does not say how many. */
export const DEFAULT_TOP_K = 5;

/** Name what is in the picture: the `top_k` most probable ImageNet-1k classes. */
export const classifySchema = z.strictObject({
  operation: z.literal('classify'),
  top_k: z.int().min(1).max(100),
});

/** One operation with its parameters. A new operation is a schema here and a file in server-b/operations. */
export const operationSchema = z.discriminatedUnion('operation', [resizeSchema, circleSchema, classifySchema]);

export type ResizeParameters = z.infer<typeof resizeSchema>;
export type CircleParameters = z.infer<typeof circleSchema>;
export type ClassifyParameters = z.infer<typeof classifySchema>;
export type Operation = z.infer<typeof operationSchema>;
export type OperationName = Operation['operation'];

/** Every operation's name, in the order their outputs are given. */
export const OPERATION_NAMES = ['resize', 'circle', 'classify'] as const satisfies readonly OperationName[];
/** Schema of an operation's name. */
export const operationNameSchema = z.enum(OPERATION_NAMES);

/** The operations of one task: at least one, each at most once. */
export const operationsSchema = z
  .array(operationSchema)
  .min(1)
  .max(OPERATION_NAMES.length)
  .refine((list) => new Set(list.map((one) => one.operation)).size === list.length, 'each operation at most once');

/** Width and height in pixels. */
export interface Size {
  readonly width: number;
  readonly height: number;
}

/**
 * The size a resize gives for an upright picture of `input` pixels: max(1, round(side × factor)) for a factor; for a
 * box, the box itself (cover, contain, fill) or the picture scaled to lie inside or outside of it. With one side only,
 * the other follows the picture's shape.
 */
export function resizedSize(input: Size, parameters: ResizeParameters): Size {
  const { scale_factor: factor, width, height, fit = 'inside' } = parameters;
  if (factor !== undefined) return { width: scaled(input.width, factor), height: scaled(input.height, factor) };
  const byWidth = (width ?? input.width) / input.width;
  const byHeight = (height ?? input.height) / input.height;
  if (width === undefined && height === undefined) return input;
  if (width === undefined) return { width: scaled(input.width, byHeight), height: height ?? input.height };
  if (height === undefined) return { width, height: scaled(input.height, byWidth) };
  if (fit !== 'inside' && fit !== 'outside') return { width, height };
  const factorOfBox = fit === 'inside' ? Math.min(byWidth, byHeight) : Math.max(byWidth, byHeight);
  return { width: scaled(input.width, factorOfBox), height: scaled(input.height, factorOfBox) };
}

function scaled(length: number, factor: number): number {
  return Math.max(1, Math.round(length * factor));
}
