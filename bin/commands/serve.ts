import { Command } from 'commander';
import { nanoid } from 'nanoid';
import { z } from 'zod';
import { SERVER_A_PREFIX, type ServerASettings, serverASettings } from '../../server-a/config.ts';
import { SERVER_B_PREFIX, type ServerBSettings, serverBSettings } from '../../server-b/config.ts';
import { commonSettings, resolveSettings } from '../../shared/config.ts';
import { formatAddress } from '../address.ts';
import { explainListenFailure } from '../failure.ts';
import { fetchMissingModel } from '../fetch-model.ts';
import { runServerA } from '../run-server-a.ts';
import { addSettings, type Environment, readEnvironment } from '../settings.ts';
import { abortOnSignal } from '../signals.ts';
import { serveApart } from './server-a.ts';

/** `darkroom serve`: Server A, with Server B as its supervised child unless `--server-b` names one elsewhere. */
export function serveCommand(): Command {
  const command = new Command('serve').description('run Server A, with Server B as its supervised child');
  return addSettings(command, serverASettings, SERVER_A_PREFIX).action(async (flags: Record<string, unknown>) => {
    const environment = readEnvironment();
    const settings = resolveSettings(serverASettings, SERVER_A_PREFIX, flags, environment);
    if (settings.serverB === undefined) await serveTogether(settings, environment);
    else await serveApart(settings, settings.serverB);
  });
}

/** Starts both at once; closes A first, so that its last jobs still find B. */
async function serveTogether(settings: ServerASettings, environment: Environment): Promise<void> {
  const stop = abortOnSignal();
  const { Supervisor } = await import('../../server-b/supervisor.ts');
  const { createLogger } = await import('../../shared/log.ts');
  const token = settings.token ?? nanoid();
  const log = createLogger('supervisor', settings.logLevel);
  const supervisor = new Supervisor(childSettings(settings, token, environment), { environment, log });
  const started = supervisor.start();
  // Asked for by the greeting; until then its failure has no listener.
  started.catch(() => {});
  const backendText = async () => {
    await started.catch((error: unknown) => {
      throw explainListenFailure(error, serverASettings, settings);
    });
    return supervisor.address === null ? 'restarting' : `${formatAddress(supervisor.address)} (child)`;
  };
  const fetched = fetchMissingModel(settings, stop, log);
  try {
    await runServerA(settings, { backend: supervisor, backendText, token, stop });
  } finally {
    await Promise.all([supervisor.close(), fetched]);
  }
}

/** What the child is told: every common setting as Server A has it, and to listen on loopback. */
function childSettings(settings: ServerASettings, token: string, environment: Environment): ServerBSettings {
  return {
    ...resolveSettings(serverBSettings, SERVER_B_PREFIX, {}, environment),
    ...z.object(commonSettings).parse(settings),
    ip: '127.0.0.1',
    port: settings.serverBPort,
    token,
  };
}
