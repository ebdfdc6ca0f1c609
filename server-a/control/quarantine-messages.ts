import { z } from 'zod';

/** A SHA-256 in hexadecimal; capital letters become small ones. */
export const sha256Schema = z
  .string()
  .toLowerCase()
  .regex(/^[0-9a-f]{64}$/, 'Expected 64 hexadecimal digits');

/** The result of `quarantine-list`. Times are in ISO 8601. */
export const quarantineListSchema = z.object({
  pictures: z.array(
    z.object({
      sha256: sha256Schema,
      /** The task in which the picture crashed its worker last. */
      task_id: z.string(),
      filename: z.string().nullable(),
      since: z.string(),
      until: z.string(),
    }),
  ),
});
export type QuarantineList = z.infer<typeof quarantineListSchema>;

/** The result of `quarantine-release`. */
export const quarantineReleasedSchema = z.object({ released: z.int() });
export type QuarantineReleased = z.infer<typeof quarantineReleasedSchema>;
