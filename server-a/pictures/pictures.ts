import { DarkroomError } from '../../shared/errors.ts';
import type { Spool } from '../spool/spool.ts';
import type { SpoolFileKind } from '../spool/spool-file.ts';
import type { ChangedRow, PictureRow } from '../store/statements.ts';
import type { Store } from '../store/store.ts';
import { type FoundPicture, PictureFile, PictureInMemory } from './found-picture.ts';
import { NewPicture, SMALL_PICTURE_BYTES } from './new-picture.ts';

/**
 * The pictures that records name, in two places: small ones in the store, where they are written and deleted with their
 * records, and files in the spool. A picture has the same name in both. One that is small may still be a file, of a task
 * from before there were two places.
 */
export class Pictures {
  readonly #store: Store;
  readonly #spool: Spool;

  constructor(store: Store, spool: Spool) {
    this.#store = store;
    this.#spool = spool;
  }

  /** Bytes of all pictures, including those that are being received. */
  get bytes(): number {
    return this.#store.pictureBytes + this.#spool.bytes;
  }

  /** Bytes that can still be written to the disk. */
  freeBytes(): number {
    return this.#spool.freeBytes();
  }

  /** Begins a picture, which is given its name later. */
  create(kind: SpoolFileKind): NewPicture {
    return new NewPicture(this.#spool, kind);
  }

  /**
   * The picture of that name, which must have `bytes` bytes. `what` it is stands in the message of SPOOL_CORRUPT, which
   * is thrown when it is missing or has another size.
   */
  async find(name: string, bytes: number, what: string): Promise<FoundPicture> {
    const stored = this.#stored(name, bytes);
    const size = stored?.length ?? (await this.#spool.size(name));
    if (size === bytes) return stored ? new PictureInMemory(stored) : new PictureFile(this.#spool.path(name), bytes);
    const found = size === null ? 'is missing' : `has ${size} bytes`;
    throw new DarkroomError('SPOOL_CORRUPT', `The stored ${what} ${found} and should have ${bytes} bytes.`);
  }

  /**
   * Reads a picture that should have `bytes` bytes. A file is read into `buffer`, again and again; no piece is longer. A
   * piece is valid until the next one is asked for. The iteration throws SPOOL_CORRUPT when the picture is missing or
   * cannot be read.
   */
  async *read(name: string, bytes: number, buffer: Uint8Array): AsyncGenerator<Uint8Array> {
    const stored = this.#stored(name, bytes);
    if (stored === undefined) yield* this.#spool.read(name, buffer);
    else yield* new PictureInMemory(stored).pieces(buffer.length);
  }

  /**
   * Copies a picture of `bytes` bytes. Like {@link NewPicture.place}, gives the rows that must be written with the record
   * that names the copy; a file is durable and counted when this resolves. Throws SPOOL_CORRUPT when there is none.
   */
  async copy(name: string, second: string, bytes: number): Promise<PictureRow[]> {
    const stored = this.#stored(name, bytes);
    if (stored !== undefined) return [{ name: second, size: stored.length, bytes: new Uint8Array(stored) }];
    await this.#spool.link(name, second);
    return [];
  }

  /**
   * Removes pictures that the record of `changed` does not name any more. The store has deleted its own with the change;
   * files follow. Does not reject.
   */
  async remove({ deleted = [] }: Pick<ChangedRow, 'deleted'>, names: readonly string[]): Promise<void> {
    for (const name of names) if (!deleted.includes(name)) await this.#spool.remove(name);
  }

  #stored(name: string, bytes: number): Buffer | undefined {
    return bytes > SMALL_PICTURE_BYTES ? undefined : this.#store.picture(name);
  }
}
