import { Semaphore } from '../../shared/semaphore.ts';

/**
 * The most inputs that are in the spool without a record at once. Group commit needs some of them together; a start that
 * finds more knows that records were lost.
 */
export const MOST_WITHOUT_RECORD = 64;

/** Limits how many inputs are in the spool without a record: before their task is stored, or after it is forgotten. */
export class RecordGate {
  readonly #permits = new Semaphore(MOST_WITHOUT_RECORD);

  /** Runs the steps during which an input has no record. Throws as they do; the input has a record or is removed then. */
  use<Value>(work: () => Promise<Value>): Promise<Value> {
    return this.#permits.use(work);
  }
}
