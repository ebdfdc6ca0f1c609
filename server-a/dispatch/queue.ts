/** Ids that wait for a lane, in the order in which they came; any of them can be taken out. */
export class WaitingQueue {
  /** Ids that had their turn and came back; they go first. */
  readonly #returned = new Set<string>();
  readonly #ids = new Set<string>();

  get size(): number {
    return this.#returned.size + this.#ids.size;
  }

  /** Puts an id before all that have not had a turn yet. */
  putBack(id: string): void {
    this.#returned.add(id);
  }

  /** Puts an id at the end; one that waits already keeps its place. */
  add(id: string): void {
    this.#ids.add(id);
  }

  /** Takes an id out; false when it did not wait. */
  remove(id: string): boolean {
    return this.#returned.delete(id) || this.#ids.delete(id);
  }

  /** Takes the oldest id out; undefined when none waits. */
  shift(): string | undefined {
    const [id] = this.#returned.size > 0 ? this.#returned : this.#ids;
    if (id !== undefined) this.remove(id);
    return id;
  }
}
