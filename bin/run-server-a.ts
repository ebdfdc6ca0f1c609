import { type ServerASettings, serverASettings } from '../server-a/config.ts';
import type { Backend } from '../server-a/index.ts';
import { explainListenFailure } from './failure.ts';
import { greeting } from './greeting.ts';
import { aborted } from './signals.ts';

/** What Server A is started with, beside its settings. */
export interface ServerARun {
  readonly backend: Backend;
  /** Server B in one word or two, for the person at the terminal. */
  readonly backendText: string;
  readonly token: string | undefined;
  /** When this aborts, Server A finishes what it has and closes. */
  readonly stop: AbortSignal;
}

/** Runs Server A until told to stop. A port that is taken is told by its flag. */
export async function runServerA(settings: ServerASettings, run: ServerARun): Promise<void> {
  const { startServerA } = await import('../server-a/index.ts');
  const { createLogger } = await import('../shared/log.ts');
  const log = createLogger('server-a', settings.logLevel);
  const serverA = await startServerA(settings, run.backend, run.token, log).catch((error: unknown) => {
    throw explainListenFailure(error, serverASettings, settings);
  });
  try {
    process.stdout.write(greeting(serverA.http, run.backendText, settings));
    await aborted(run.stop);
  } finally {
    await serverA.close();
  }
}
