import { z } from 'zod';
import { outputSpecSchema } from '../../shared/operations/index.ts';

/** What the bare loop is told: do `count` tasks in turn, `atOnce` of them at any time. */
export const bareOrderSchema = z.object({
  tasks: z.array(z.object({ picture: z.string(), outputs: z.array(outputSpecSchema) })).min(1),
  count: z.int().positive(),
  atOnce: z.int().positive(),
});
export type BareOrder = z.infer<typeof bareOrderSchema>;

/** What it answers. */
export const bareReplySchema = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('done'), seconds: z.number() }),
  z.object({ kind: z.literal('failed'), message: z.string() }),
]);
export type BareReply = z.infer<typeof bareReplySchema>;
