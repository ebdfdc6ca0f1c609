/** A first-in, first-out queue of task ids from which any id can be removed. */
export class WaitingQueue {
  /** Ids that were put back after their turn; they go first. */
  readonly #returned = new Set<string>();
  readonly #ids = new Set<string>();

  get size(): number {
    return this.#returned.size + this.#ids.size;
  }

  /** Puts an id before all ids that have not had a turn yet. */
  putBack(id: string): void {
    this.#returned.add(id);
  }

  /** Puts an id at the end; an id that waits already keeps its place. */
  add(id: string): void {
    this.#ids.add(id);
  }

  /** Removes an id; false when it was not in the queue. */
  remove(id: string): boolean {
    return this.#returned.delete(id) || this.#ids.delete(id);
  }

  /** Removes and returns the first id; undefined when the queue is empty. */
  shift(): string | undefined {
    const [id] = this.#returned.size > 0 ? this.#returned : this.#ids;
    if (id !== undefined) this.remove(id);
    return id;
  }
}
