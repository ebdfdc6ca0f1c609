/** Milliseconds for which results wait for a subscription, and for which a subscription counts as fresh. */
export const HOLD_MS = 300;
/** Milliseconds without another list or subscription after which a fresh subscription is taken for the list's own. */
const QUIET_MS = 100;

interface WaitingList {
  readonly go: () => void;
  readonly overdue: NodeJS.Timeout;
  hasSubscriber: boolean;
}

/**
 * Says when the client that sent a list can hear its results: when a fresh subscription has come, or {@link HOLD_MS} have
 * passed. A subscription does not say whose it is; so while others come, as when many clients start at once, none is believed.
 */
export class FreshSubscriptions {
  readonly #lists = new Set<WaitingList>();
  #latest = Number.NEGATIVE_INFINITY;
  #quiet: NodeJS.Timeout | undefined;

  /** A subscription has come. */
  arrived(): void {
    this.#latest = performance.now();
    for (const list of this.#lists) list.hasSubscriber = true;
    this.#listen();
  }

  /** Resolves when the results of a list that has come now may go out. */
  await(): Promise<void> {
    return new Promise((resolve) => {
      const go = () => {
        clearTimeout(list.overdue);
        this.#lists.delete(list);
        resolve();
      };
      const list: WaitingList = {
        go,
        overdue: setTimeout(go, HOLD_MS),
        hasSubscriber: performance.now() - this.#latest < HOLD_MS,
      };
      this.#lists.add(list);
      this.#listen();
    });
  }

  /** Lets everything go. */
  close(): void {
    clearTimeout(this.#quiet);
    for (const { go } of this.#lists) go();
  }

  #listen(): void {
    clearTimeout(this.#quiet);
    if (this.#lists.size === 0) return;
    this.#quiet = setTimeout(() => {
      for (const { hasSubscriber, go } of this.#lists) if (hasSubscriber) go();
    }, QUIET_MS);
  }
}
