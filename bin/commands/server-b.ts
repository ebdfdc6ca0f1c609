import { Command } from 'commander';
import { SERVER_B_PREFIX, serverBSettings } from '../../server-b/config.ts';
import { resolveSettings } from '../../shared/config.ts';
import { DarkroomError } from '../../shared/errors.ts';
import { formatAddress, isLoopback } from '../serve/address.ts';
import { explainListenFailure } from '../serve/failure.ts';
import { fetchMissingModel } from '../serve/fetch-model.ts';
import { addSettings, readEnvironment } from '../settings.ts';
import { aborted, abortOnSignal } from '../signals.ts';

/** `darkroom server-b`: a supervised Server B alone, for Server A processes that run elsewhere. */
export function serverBCommand(): Command {
  const command = new Command('server-b').description('run Server B alone');
  return addSettings(command, serverBSettings, SERVER_B_PREFIX).action(async (flags: Record<string, unknown>) => {
    const environment = readEnvironment();
    const settings = resolveSettings(serverBSettings, SERVER_B_PREFIX, flags, environment);
    requireToken(settings.ip, settings.token);
    const stop = abortOnSignal();
    const { Supervisor } = await import('../../server-b/supervisor.ts');
    const { createLogger } = await import('../../shared/log.ts');
    const log = createLogger('supervisor', settings.logLevel);
    const supervisor = new Supervisor(settings, { environment, log });
    const started = supervisor.start().catch((error: unknown) => {
      // A Ctrl-C ends an instance that cannot listen for it yet; there is nothing else to report then.
      if (!stop.aborted) throw explainListenFailure(error, serverBSettings, settings);
    });
    // A start may take long; a signal ends the command without waiting for it.
    await Promise.race([started, aborted(stop)]);
    const fetched = fetchMissingModel(settings, stop, log);
    try {
      const address = supervisor.address === null ? 'starting' : formatAddress(supervisor.address);
      process.stdout.write(`Server B  ${address}\n`);
      await aborted(stop);
    } finally {
      await Promise.all([supervisor.close(), fetched]);
    }
  });
}

/** Throws BAD_REQUEST for an address other than loopback without a token: every client could send jobs to Server B. */
function requireToken(ip: string, token: string | undefined): void {
  if (token !== undefined || isLoopback(ip)) return;
  throw new DarkroomError(
    'BAD_REQUEST',
    `Expected --token (DARKROOM_TOKEN) for a Server B that listens on ${ip}, received nothing`,
  );
}
