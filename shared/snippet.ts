import { z } from 'zod';
import { taskSchema } from './task.ts';

/** The most boxes one snippet holds. */
export const MAX_BOXES = 10_000;
/** The highest number a snippet may have. */
export const MAX_SNIPPET = 2 ** 31 - 1;

/** A snippet's name: a whole number. */
export const snippetNameSchema = z.int().min(1).max(MAX_SNIPPET);

/** A rectangle in a picture, in the picture's own units. Other fields that a client sends are dropped. */
export const boxSchema = z.object({ X: z.number(), Y: z.number(), W: z.number(), H: z.number() });
export type Box = z.infer<typeof boxSchema>;

/** The boxes of a snippet. */
export const boxesSchema = z.array(boxSchema).max(MAX_BOXES);

/** A numbered place that keeps its newest picture, and the boxes drawn in it. */
export const snippetSchema = z.object({
  name: snippetNameSchema,
  /** The newest picture's task; null until there is one. */
  task: taskSchema.nullable(),
  boxes: boxesSchema,
  /** RFC 3339 in UTC. */
  updated_at: z.string(),
});
export type Snippet = z.infer<typeof snippetSchema>;
