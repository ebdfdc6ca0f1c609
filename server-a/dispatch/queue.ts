/** A first-in, first-out queue of task ids from which any id can be removed. */
export class WaitingQueue {
  /** Ids that were put back after their turn; they go first. */
  readonly #returned = new Set<string>();
  /** The place of each id that has not had a turn yet. */
  readonly #places = new Map<string, number>();

  get size(): number {
    return this.#returned.size + this.#places.size;
  }

  /** Puts an id before all ids that have not had a turn yet. */
  putBack(id: string): void {
    this.#returned.add(id);
  }

  /** Puts an id at the end; an id that waits already keeps its place. Places rise, also over several queues. */
  add(id: string, place: number): void {
    if (!this.#places.has(id)) this.#places.set(id, place);
  }

  /** Removes an id; false when it was not in the queue. */
  remove(id: string): boolean {
    return this.#returned.delete(id) || this.#places.delete(id);
  }

  /** The place of the first id; 0 when it was put back, Infinity when the queue is empty. */
  get firstPlace(): number {
    if (this.#returned.size > 0) return 0;
    const [place] = this.#places.values();
    return place ?? Number.POSITIVE_INFINITY;
  }

  /** Removes and returns the first id; undefined when the queue is empty. */
  shift(): string | undefined {
    const [id] = this.#returned.size > 0 ? this.#returned : this.#places.keys();
    if (id !== undefined) this.remove(id);
    return id;
  }
}
