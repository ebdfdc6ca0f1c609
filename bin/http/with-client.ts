import { abortOnSignal } from '../signals.ts';
import { Client } from './client.ts';
import type { ClientSettings } from './config.ts';

/** Runs `work` with a client. SIGINT and SIGTERM abort the signal; then it rejects with the signal's reason. */
export async function withClient(
  settings: ClientSettings,
  work: (client: Client, signal: AbortSignal) => Promise<void>,
): Promise<void> {
  const signal = abortOnSignal();
  const client = new Client(settings, signal);
  try {
    await work(client, signal);
  } catch (error) {
    // Each library has its own error for an abort.
    throw signal.aborted ? signal.reason : error;
  } finally {
    await client.close();
  }
}
