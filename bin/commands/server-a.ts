import { Command } from 'commander';
import { SERVER_A_PREFIX, type ServerASettings, serverASettings } from '../../server-a/config.ts';
import { resolveSettings } from '../../shared/config.ts';
import { invalid } from '../../shared/errors.ts';
import { formatAddress, parseAddress } from '../serve/address.ts';
import { isNewStore, newStoreOption } from '../serve/new-store.ts';
import { checkPorts } from '../serve/ports.ts';
import { runServerA } from '../serve/run-server-a.ts';
import { addSettings, readEnvironment } from '../settings.ts';
import { abortOnSignal } from '../signals.ts';

/** `darkroom server-a`: Server A alone, with a Server B that runs elsewhere. */
export function serverACommand(): Command {
  const command = new Command('server-a').description(
    'run Server A alone, with a Server B that was started separately',
  );
  command.addOption(newStoreOption());
  return addSettings(command, serverASettings, SERVER_A_PREFIX).action(async (flags: Record<string, unknown>) => {
    const settings = resolveSettings(serverASettings, SERVER_A_PREFIX, flags, readEnvironment());
    if (settings.serverB === undefined) throw invalid('host:port of a Server B', '--server-b', undefined);
    checkPorts(serverASettings, settings);
    await serveApart(settings, settings.serverB, isNewStore(flags));
  });
}

/** Runs Server A with the Server B at `serverB`, a `host:port` that never changes. */
export async function serveApart(settings: ServerASettings, serverB: string, newStore: boolean): Promise<void> {
  const address = parseAddress(serverB, '--server-b');
  const backend = { address, onChange: () => undefined };
  const stop = abortOnSignal();
  const openBackend = async () => formatAddress(address);
  await runServerA(settings, { backend, openBackend, token: settings.token, newStore, stop });
}
