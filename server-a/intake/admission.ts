import { DarkroomError, shuttingDown } from '../../shared/errors.ts';

/**
 * Bytes of disk that uploads must leave free, so that accepted tasks can still end: room for the write-ahead log
 * (SQLite checkpoints it at 4 MiB) and for the outputs of running jobs, a few MiB each.
 */
const RESERVE_BYTES = 64 * 1024 * 1024;

/** The limits of admission. */
export interface AdmissionLimits {
  /** Tasks that wait or run. */
  readonly maxQueued: number;
  /** URLs that wait to be fetched. A URL takes a place in the queue when its fetch starts. */
  readonly maxListed: number;
  readonly maxSpoolBytes: number;
  readonly maxUploadBytes: number;
}

/** The disk that the spool is on. */
export interface Disk {
  /** Bytes in the spool. */
  readonly bytes: number;
  /** Bytes that can still be written. */
  freeBytes(): number;
}

/**
 * Decides whether another upload fits queue and disk. Counts the tasks that have not ended and the bytes promised to
 * uploads in progress.
 */
export class Admission {
  readonly #limits: AdmissionLimits;
  readonly #disk: Disk;
  #queued: number;
  #listed: number;
  #promised = 0;
  #draining = false;
  readonly #onFreed: () => void;

  /**
   * `queued` and `listed` are the tasks that have not ended, with and without their picture. `onFreed` is called each
   * time a place in the queue becomes free.
   */
  constructor(
    limits: AdmissionLimits,
    disk: Disk,
    { queued, listed }: { queued: number; listed: number },
    onFreed: () => void = () => undefined,
  ) {
    this.#limits = limits;
    this.#disk = disk;
    this.#queued = queued;
    this.#listed = listed;
    this.#onFreed = onFreed;
  }

  /** Listed tasks that have not ended and have no picture yet. */
  get listed(): number {
    return this.#listed;
  }

  get isDraining(): boolean {
    return this.#draining;
  }

  /** Refuses all uploads and lists from now on. */
  drain(): void {
    this.#draining = true;
  }

  /** Throws DRAINING after {@link drain}. */
  checkOpen(): void {
    if (this.#draining) throw shuttingDown();
  }

  /** Throws DRAINING, QUEUE_FULL or STORAGE_FULL when another picture of `bytes` bytes (null: unknown) has no room. */
  check(bytes: number | null): void {
    this.checkOpen();
    const { maxQueued } = this.#limits;
    if (this.#queued >= maxQueued) {
      throw new DarkroomError('QUEUE_FULL', `The queue is full with ${maxQueued} tasks. Try again later.`);
    }
    this.#checkStorage(this.#uploadBytes(bytes));
  }

  /**
   * Takes a place in the queue, and room on disk for the declared bytes, or for the largest upload when `bytes` is
   * null. Throws like {@link check}.
   */
  reserve(bytes: number | null): Reservation {
    this.check(bytes);
    this.#queued += 1;
    return new Reservation(this, this.#uploadBytes(bytes));
  }

  /** Frees the place of a task that has ended or of an upload that failed. */
  leave(): void {
    this.#queued -= 1;
    this.#onFreed();
  }

  /**
   * Counts `count` URLs that wait to be fetched, whose records take `bytes` bytes. Throws DRAINING, QUEUE_FULL when too
   * many would wait, and STORAGE_FULL like {@link checkRecords}.
   */
  list(count: number, bytes: number): void {
    this.checkOpen();
    const { maxListed } = this.#limits;
    if (this.#listed + count > maxListed) {
      const message = `At most ${maxListed} URLs may wait; ${this.#listed} wait already. Try again later.`;
      throw new DarkroomError('QUEUE_FULL', message);
    }
    this.checkRecords(bytes);
    this.#listed += count;
  }

  /** Subtracts `count` URLs that no longer wait, because they were fetched or have ended, or could not be stored. */
  unlist(count: number): void {
    this.#listed -= count;
  }

  /** Adds to the promised bytes; a negative number subtracts. Throws STORAGE_FULL when they do not fit. */
  promise(bytes: number): void {
    if (bytes > 0) this.#checkStorage(bytes);
    this.#promised += bytes;
  }

  /** Throws STORAGE_FULL when records of `bytes` bytes would need the room that is kept for the ends of tasks. */
  checkRecords(bytes: number): void {
    // SQLite writes records twice: to the write-ahead log, then to the tables.
    this.#checkDisk(2 * bytes);
  }

  #uploadBytes(bytes: number | null): number {
    return Math.min(bytes ?? this.#limits.maxUploadBytes, this.#limits.maxUploadBytes);
  }

  #checkStorage(bytes: number): void {
    const spool = this.#disk.bytes + this.#promised + bytes;
    const { maxSpoolBytes } = this.#limits;
    if (spool > maxSpoolBytes) throw storageFull(`the spool would have ${spool} of at most ${maxSpoolBytes} bytes`);
    this.#checkDisk(bytes);
  }

  #checkDisk(bytes: number): void {
    const left = this.#disk.freeBytes() - this.#promised - bytes;
    if (left < RESERVE_BYTES) throw storageFull(`the disk would have ${left} free bytes and needs ${RESERVE_BYTES}`);
  }
}

/** A place in the queue, and the bytes that are promised to one upload but not received yet. */
export class Reservation {
  readonly #admission: Admission;
  #remaining: number;
  #isHeld = true;

  /** `bytes` must have been checked. */
  constructor(admission: Admission, bytes: number) {
    this.#admission = admission;
    this.#remaining = bytes;
    admission.promise(bytes);
  }

  /**
   * Subtracts received bytes from the promise, because the spool counts them now. Throws STORAGE_FULL when they exceed
   * the promise and have no room.
   */
  consume(bytes: number): void {
    const beyond = Math.max(0, bytes - this.#remaining);
    this.#admission.promise(beyond);
    this.#admission.promise(-bytes);
    this.#remaining += beyond - bytes;
  }

  /** Returns the unused part of the promise, because all bytes are received. */
  settle(): void {
    this.#admission.promise(-this.#remaining);
    this.#remaining = 0;
  }

  /** Hands the place over to a task, which frees it when it ends. */
  handOver(): void {
    this.settle();
    this.#isHeld = false;
  }

  /** Frees the place and the promise of a failed upload. Idempotent; keeps a place that was handed over. */
  release(): void {
    this.settle();
    if (this.#isHeld) this.#admission.leave();
    this.#isHeld = false;
  }
}

function storageFull(reason: string): DarkroomError {
  return new DarkroomError('STORAGE_FULL', `Storage is full: ${reason}. Try again later.`);
}
