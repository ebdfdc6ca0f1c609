import { type ServerASettings, serverASettings } from '../../server-a/config.ts';
import type { Backend, OnDemandBackend } from '../../server-a/dispatch/lanes.ts';
import { aborted } from '../signals.ts';
import { explainListenFailure } from './failure.ts';
import { greeting } from './greeting.ts';

/** The parts that Server A needs in addition to its settings. */
export interface ServerARun {
  readonly backend: Backend;
  /** A second Server B for suspects; left out when there is none. */
  readonly suspectBackend?: OnDemandBackend;
  /** Called when Server A listens. Resolves when Server B does, with a short text about it for the terminal. */
  readonly openBackend: () => Promise<string>;
  readonly token: string | undefined;
  /** See {@link newStoreOption}. */
  readonly newStore: boolean;
  /** When this aborts, Server A finishes running jobs and closes. */
  readonly stop: AbortSignal;
}

/** Runs Server A until `stop` aborts or it reports a fatal error. Throws BAD_REQUEST with the flag of a port in use. */
export async function runServerA(settings: ServerASettings, run: ServerARun): Promise<void> {
  const { startServerA } = await import('../../server-a/index.ts');
  const { createLogger } = await import('../../shared/log.ts');
  const log = createLogger('server-a', settings.logLevel);
  const fatal = new AbortController();
  const { backend, suspectBackend, token, newStore } = run;
  const options = { backend, suspectBackend, token, newStore, log, onFatal: (error: Error) => fatal.abort(error) };
  const serverA = await startServerA(settings, options).catch((error: unknown) => {
    throw explainListenFailure(error, serverASettings, settings);
  });
  try {
    const ended = AbortSignal.any([run.stop, fatal.signal]);
    const greeted = run.openBackend().then((backendText) => {
      if (!ended.aborted) process.stdout.write(greeting(serverA, backendText, settings));
    });
    // Server B may take long to start; a stop does not wait for it.
    await Promise.race([greeted, aborted(ended)]);
    await aborted(ended);
    fatal.signal.throwIfAborted();
  } finally {
    await serverA.close();
  }
}
