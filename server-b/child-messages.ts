import { z } from 'zod';

/** What the instance tells its supervisor over the IPC channel. */
export const childMessageSchema = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('listening'), host: z.string(), port: z.int().positive() }),
  /** It cannot start with these settings; trying again would not help. */
  z.object({
    kind: z.literal('unable'),
    message: z.string(),
    /** The system's code, such as EADDRINUSE, and the port it is about. */
    code: z.string().optional(),
    port: z.number().optional(),
  }),
  /** Its main thread is alive; told from the beginning, long before it listens. */
  z.object({ kind: z.literal('beat') }),
]);
export type ChildMessage = z.infer<typeof childMessageSchema>;

/** What the supervisor tells the instance: take no more jobs, finish those under way, exit. */
export const supervisorMessageSchema = z.object({ kind: z.literal('drain') });

/** How often an instance beats, and how long it may be silent before it is killed, in milliseconds. */
export const BEAT_MS = 2000;
export const SILENT_MS = 6000;
/** How long jobs under way may take to finish once drained, in milliseconds. */
export const DRAIN_MS = 20_000;
