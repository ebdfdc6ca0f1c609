/** Milliseconds for which results wait for a subscription, and for which a subscription counts as fresh. */
export const HOLD_MS = 300;
/** After so many milliseconds without another list or subscription, a fresh subscription counts as the list's own. */
const QUIET_MS = 100;

interface WaitingList {
  readonly go: () => void;
  readonly overdue: NodeJS.Timeout;
  hasSubscriber: boolean;
}

/**
 * Decides when the client of a list can receive its results: after a fresh subscription, or after {@link HOLD_MS}. A
 * subscription does not identify its client. So while many clients start at once and more subscriptions arrive, none of
 * them counts.
 */
export class FreshSubscriptions {
  readonly #lists = new Set<WaitingList>();
  #latestMs = Number.NEGATIVE_INFINITY;
  #quiet: NodeJS.Timeout | undefined;

  /** Records a subscription that has just arrived. */
  arrived(): void {
    this.#latestMs = performance.now();
    for (const list of this.#lists) list.hasSubscriber = true;
    this.#restartQuiet();
  }

  /** Resolves when the results of a list that has just arrived may be published. Never rejects. */
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
        hasSubscriber: performance.now() - this.#latestMs < HOLD_MS,
      };
      this.#lists.add(list);
      this.#restartQuiet();
    });
  }

  /** Resolves every wait now. */
  close(): void {
    clearTimeout(this.#quiet);
    for (const { go } of this.#lists) go();
  }

  /** Each list and each subscription starts the quiet time again. */
  #restartQuiet(): void {
    clearTimeout(this.#quiet);
    if (this.#lists.size === 0) return;
    this.#quiet = setTimeout(() => {
      for (const { hasSubscriber, go } of this.#lists) if (hasSubscriber) go();
    }, QUIET_MS);
  }
}
