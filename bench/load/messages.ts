import { z } from 'zod';

/** One HTTP request that a load process sends again and again. */
export const requestSchema = z.object({
  method: z.enum(['GET', 'POST']),
  path: z.string(),
  headers: z.record(z.string(), z.string()),
  /** File with the body; null for none. */
  bodyFile: z.string().nullable(),
  /** The answer must have one of these texts... */
  expected: z.array(z.string()),
  /** ...and none of these. */
  refused: z.array(z.string()),
});
export type LoadRequest = z.infer<typeof requestSchema>;

/** What the load process is told: send requests in turn, `count` in all or, if null, until `stop`. */
export const orderSchema = z.discriminatedUnion('kind', [
  z.object({
    kind: z.literal('run'),
    origin: z.string(),
    requests: z.array(requestSchema),
    count: z.int().positive().nullable(),
    atOnce: z.int().positive(),
  }),
  z.object({ kind: z.literal('stop') }),
]);
export type Order = z.infer<typeof orderSchema>;

/** What the load process answers when all requests have been answered, or one has failed. */
export const replySchema = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('done'), count: z.number(), seconds: z.number() }),
  z.object({ kind: z.literal('failed'), message: z.string() }),
]);
export type Reply = z.infer<typeof replySchema>;
