import { DarkroomError } from '../../shared/errors.ts';

/**
 * Bytes of disk that whatever comes in must leave free, so that what was accepted can still end: room for the write-ahead log
 * (SQLite checkpoints it at 4 MiB) and for the outputs of the jobs in hand, some MiB each.
 */
const RESERVE_BYTES = 64 * 1024 * 1024;

/** What bounds admission. */
export interface AdmissionLimits {
  /** Tasks that wait or run at once. */
  readonly maxQueued: number;
  /** URLs that wait to be fetched; they take a place in the queue when that begins. */
  readonly maxListed: number;
  readonly maxSpoolBytes: number;
  readonly maxUploadBytes: number;
}

/** The disk as admission sees it. */
export interface Disk {
  /** Bytes in the spool. */
  readonly bytes: number;
  /** Bytes that can still be written. */
  freeBytes(): number;
}

/** Says who may come in. It counts the tasks that have not ended and the bytes promised to uploads under way. */
export class Admission {
  readonly #limits: AdmissionLimits;
  readonly #disk: Disk;
  #queued: number;
  #listed: number;
  #promised = 0;
  #draining = false;
  #freed: () => void = () => undefined;

  /** `queued` tasks that have their picture and `listed` ones that do not have not ended yet. */
  constructor(limits: AdmissionLimits, disk: Disk, { queued, listed }: { queued: number; listed: number }) {
    this.#limits = limits;
    this.#disk = disk;
    this.#queued = queued;
    this.#listed = listed;
  }

  get isDraining(): boolean {
    return this.#draining;
  }

  /** Names who is told each time a place in the queue becomes free. */
  onFreed(listener: () => void): void {
    this.#freed = listener;
  }

  /** From now on nothing comes in. */
  drain(): void {
    this.#draining = true;
  }

  /** Throws DRAINING once {@link drain} was called. */
  checkOpen(): void {
    if (this.#draining)
      throw new DarkroomError('DRAINING', 'Expected a server that takes tasks, received one that is stopping');
  }

  /** Throws DRAINING, QUEUE_FULL or STORAGE_FULL when one more picture of `bytes` (null: not known) has no room. */
  check(bytes: number | null): void {
    this.checkOpen();
    const { maxQueued } = this.#limits;
    if (this.#queued >= maxQueued) {
      const message = `Expected fewer than ${maxQueued} tasks that wait or run, received one more; try again later`;
      throw new DarkroomError('QUEUE_FULL', message);
    }
    this.#checkStorage(this.#atMost(bytes));
  }

  /**
   * Takes a place in the queue and room on disk: what the client declares, or the most an upload may have. Throws as
   * {@link check} does.
   */
  reserve(bytes: number | null): Reservation {
    this.check(bytes);
    this.#queued += 1;
    return new Reservation(this, this.#atMost(bytes));
  }

  /** A task ended, or an upload will not become one: its place is free. */
  leave(): void {
    this.#queued -= 1;
    this.#freed();
  }

  /**
   * Lets `count` URLs wait to be fetched, whose records take `bytes`. Throws DRAINING, QUEUE_FULL when that would be too
   * many, and STORAGE_FULL as {@link checkRecords} does.
   */
  list(count: number, bytes: number): void {
    this.checkOpen();
    const { maxListed } = this.#limits;
    if (this.#listed + count > maxListed) {
      const message = `Expected at most ${maxListed} URLs that wait, received ${this.#listed + count}; try again later`;
      throw new DarkroomError('QUEUE_FULL', message);
    }
    this.checkRecords(bytes);
    this.#listed += count;
  }

  /** `count` URLs do not wait any more: they were fetched, or ended, or were not stored after all. */
  unlist(count: number): void {
    this.#listed -= count;
  }

  /** Changes the bytes promised. Throws STORAGE_FULL where more are asked for than there is room. */
  promise(bytes: number): void {
    if (bytes > 0) this.#checkStorage(bytes);
    this.#promised += bytes;
  }

  /** Throws STORAGE_FULL when records of `bytes` would take of the room that is kept so that ends can be written. */
  checkRecords(bytes: number): void {
    // They are written to the log first, and then to the tables.
    this.#checkDisk(2 * bytes);
  }

  #atMost(bytes: number | null): number {
    return Math.min(bytes ?? this.#limits.maxUploadBytes, this.#limits.maxUploadBytes);
  }

  #checkStorage(bytes: number): void {
    const spool = this.#disk.bytes + this.#promised + bytes;
    if (spool > this.#limits.maxSpoolBytes)
      throw storageFull(`at most ${this.#limits.maxSpoolBytes} bytes in the spool`, spool);
    this.#checkDisk(bytes);
  }

  #checkDisk(bytes: number): void {
    const left = this.#disk.freeBytes() - this.#promised - bytes;
    if (left < RESERVE_BYTES) throw storageFull(`at least ${RESERVE_BYTES} bytes free on disk afterwards`, left);
  }
}

/** A place in the queue, and the bytes promised to one upload that have not come yet. */
export class Reservation {
  readonly #admission: Admission;
  #remaining: number;
  #isHeld = true;

  /** `bytes` have been checked. */
  constructor(admission: Admission, bytes: number) {
    this.#admission = admission;
    this.#remaining = bytes;
    admission.promise(bytes);
  }

  /**
   * Bytes that go to the disk now, and so are the spool's to count. Throws STORAGE_FULL when they are beyond the
   * promise and there is no room.
   */
  consume(bytes: number): void {
    const beyond = Math.max(0, bytes - this.#remaining);
    this.#admission.promise(beyond);
    this.#admission.promise(-bytes);
    this.#remaining += beyond - bytes;
  }

  /** No more bytes come. */
  settle(): void {
    this.#admission.promise(-this.#remaining);
    this.#remaining = 0;
  }

  /** The place belongs to a task now, which leaves it when it ends. */
  handOver(): void {
    this.settle();
    this.#isHeld = false;
  }

  /** Nothing will come of it. Idempotent. */
  release(): void {
    this.settle();
    if (this.#isHeld) this.#admission.leave();
    this.#isHeld = false;
  }
}

function storageFull(expected: string, received: number): DarkroomError {
  return new DarkroomError('STORAGE_FULL', `Expected ${expected}, received ${received}; try again later`);
}
