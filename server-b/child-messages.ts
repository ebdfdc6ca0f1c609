import { z } from 'zod';
import { endedInstanceSchema } from '../shared/wire/messages.ts';

/** The environment variable in which the supervisor tells an instance who it is, as JSON of {@link identitySchema}. */
export const IDENTITY_VARIABLE = 'DARKROOM_INSTANCE';

/** The random name of an instance, and how the instances before it ended. */
export const identitySchema = z.object({ instance: z.string(), ended: z.array(endedInstanceSchema) });
export type Identity = z.infer<typeof identitySchema>;

/** A message from the instance to its supervisor over the IPC channel. */
export const childMessageSchema = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('listening'), host: z.string(), port: z.int().positive() }),
  /** It cannot start with these settings; another attempt would fail, too. */
  z.object({
    kind: z.literal('unable'),
    message: z.string(),
    /** The system's error code, such as EADDRINUSE, and the port that could not be opened. */
    code: z.string().optional(),
    port: z.number().optional(),
  }),
  /** Its main thread is alive. Sent from the start of the process, before it listens. */
  z.object({ kind: z.literal('beat') }),
  /** A worker is still busy after its deadline. The instance ends itself right after this message. */
  z.object({ kind: z.literal('stuck') }),
]);
export type ChildMessage = z.infer<typeof childMessageSchema>;

/** The message from the supervisor to the instance: accept no new job, finish the running ones, exit. */
export const supervisorMessageSchema = z.object({ kind: z.literal('drain') });

/** How often an instance sends `beat`, and how long it may send nothing before it is killed, in milliseconds. */
export const BEAT_MS = 2000;
export const SILENT_MS = 6000;
/** How long a process may take to its first message, in milliseconds: on a busy machine it loads its code slowly. */
export const STARTING_MS = 60_000;
/** How long running jobs may take to finish during a drain, in milliseconds. */
export const DRAIN_MS = 20_000;
