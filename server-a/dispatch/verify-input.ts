import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { pipeline } from 'node:stream/promises';
import type { Job } from './ledger.ts';

/** True when the spooled input still has the sha256 it was accepted with. Rejects when it cannot be read. */
export async function isInputWhole(job: Job): Promise<boolean> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(job.path), hash);
  return hash.digest('hex') === job.sha256;
}
