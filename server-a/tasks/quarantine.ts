import type { Clock } from '../../shared/clock.ts';
import { DarkroomError } from '../../shared/errors.ts';
import type { QuarantineRow, Store } from '../store/store.ts';

/** A picture in quarantine. */
export interface QuarantinedPicture extends QuarantineRow {
  /** When its quarantine ends, in milliseconds since 1970. */
  readonly until: number;
}

/**
 * Pictures that have crashed Server B, by the SHA-256 of their bytes. They are refused for a while, so that nobody ends
 * Server B again and again with the same file. The store adds a picture in the transaction in which its task fails with
 * WORKER_CRASHED.
 */
export class Quarantine {
  readonly #store: Store;
  readonly #clock: Clock;
  readonly #keepMs: number;

  /** `keepMs` is the time for which a picture stays in quarantine, in milliseconds; 0 turns the quarantine off. */
  constructor(store: Store, clock: Clock, keepMs: number) {
    this.#store = store;
    this.#clock = clock;
    this.#keepMs = keepMs;
  }

  /** Throws QUARANTINED for a picture in quarantine. */
  check(sha256: string): void {
    const row = this.#store.quarantined(sha256);
    if (row === undefined || this.#hasEnded(row)) return;
    const until = new Date(row.since + this.#keepMs).toISOString();
    throw new DarkroomError('QUARANTINED', `This picture has crashed its worker and is refused until ${until}.`);
  }

  /** The pictures in quarantine, oldest first. */
  list(): QuarantinedPicture[] {
    const rows = this.#store.allQuarantined().filter((row) => !this.#hasEnded(row));
    return rows.map((row) => ({ ...row, until: row.since + this.#keepMs }));
  }

  /** Accepts a picture again from now on; durable when it resolves. False when it is not in quarantine. */
  async release(sha256: string): Promise<boolean> {
    const row = this.#store.quarantined(sha256);
    if (row === undefined) return false;
    await this.#store.write({ statement: 'releaseQuarantined', parameters: { sha256 } });
    return !this.#hasEnded(row);
  }

  /** Forgets the pictures whose quarantine has ended at `now`, milliseconds since 1970. */
  async expire(now: number): Promise<void> {
    await this.#store.write({ statement: 'expireQuarantined', parameters: { before: now - this.#keepMs } });
  }

  #hasEnded({ since }: QuarantineRow): boolean {
    return since + this.#keepMs <= this.#clock.now();
  }
}
