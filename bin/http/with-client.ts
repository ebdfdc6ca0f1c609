import { abortOnSignal } from '../signals.ts';
import { Client } from './client.ts';
import type { ClientSettings } from './config.ts';

/** Lends a client to `work`, which SIGINT and SIGTERM end by the signal; rejects then with the signal's own reason. */
export async function withClient(
  settings: ClientSettings,
  work: (client: Client, signal: AbortSignal) => Promise<void>,
): Promise<void> {
  const signal = abortOnSignal();
  const client = new Client(settings, signal);
  try {
    await work(client, signal);
  } catch (error) {
    // Each library words an abort its own way.
    throw signal.aborted ? signal.reason : error;
  } finally {
    await client.close();
  }
}
