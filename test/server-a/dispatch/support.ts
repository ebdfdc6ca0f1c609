import type { Job } from '../../../server-a/dispatch/contract.ts';
import { SMALL_HEADER } from '../../support/wire-client.ts';

/** The first attempt at a task; each test replaces the fields that it needs. */
export function jobOf(id: string, changes: Partial<Job> = {}): Job {
  return {
    id,
    attempt: 1,
    specs: [{ name: 'resize', operation: 'resize', scale_factor: 0.5 }],
    header: SMALL_HEADER,
    bytes: 1000,
    sha256: '',
    ...changes,
  };
}
