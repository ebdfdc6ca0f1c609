import { access } from 'node:fs/promises';
import { Command } from 'commander';
import { nanoid } from 'nanoid';
import { z } from 'zod';
import { SERVER_A_PREFIX, type ServerASettings, serverASettings } from '../../server-a/config.ts';
import { SERVER_B_PREFIX, type ServerBSettings, serverBSettings } from '../../server-b/config.ts';
import { commonSettings, resolveSettings } from '../../shared/config.ts';
import { invalid } from '../../shared/errors.ts';
import { formatAddress } from '../serve/address.ts';
import { explainListenFailure } from '../serve/failure.ts';
import { fetchMissingModel } from '../serve/fetch-model.ts';
import { isNewStore, newStoreOption } from '../serve/new-store.ts';
import { checkPorts } from '../serve/ports.ts';
import { runServerA } from '../serve/run-server-a.ts';
import { addSettings, type Environment, readEnvironment } from '../settings.ts';
import { abortOnSignal } from '../signals.ts';
import { serveApart } from './server-a.ts';

/** `darkroom serve`: Server A, with Server B as its supervised child unless `--server-b` names one elsewhere. */
export function serveCommand(): Command {
  const command = new Command('serve').description('run Server A, with Server B as its supervised child');
  // This is the default command, so an unknown command name arrives here as an argument.
  command.allowExcessArguments(true).addOption(newStoreOption());
  return addSettings(command, serverASettings, SERVER_A_PREFIX).action(async (flags: Record<string, unknown>) => {
    const [word] = command.args;
    if (word !== undefined) throw invalid('a command, or flags after `npm start --`,', 'the first word', word);
    const environment = readEnvironment();
    const settings = resolveSettings(serverASettings, SERVER_A_PREFIX, flags, environment);
    checkPorts(serverASettings, settings);
    if (settings.serverB === undefined) await serveTogether(settings, environment, isNewStore(flags));
    else await serveApart(settings, settings.serverB, isNewStore(flags));
  });
}

/**
 * Starts A first, so that it takes pictures while B, which needs more of the processor, starts. Closes A first, so that
 * its last jobs still have a Server B.
 */
async function serveTogether(settings: ServerASettings, environment: Environment, newStore: boolean): Promise<void> {
  await checkModel(settings.model);
  const stop = abortOnSignal();
  const { Supervisor } = await import('../../server-b/supervisor.ts');
  const { OnDemandServerB } = await import('../../server-b/on-demand.ts');
  const { createLogger } = await import('../../shared/log.ts');
  const token = settings.token ?? nanoid();
  const log = createLogger('supervisor', settings.logLevel);
  const child = childSettings(settings, token, environment);
  const supervisor = new Supervisor(child, { environment, log });
  const suspects = log.child({ site: 'suspects' });
  const suspectBackend = new OnDemandServerB(
    () => new Supervisor(forSuspects(child), { environment, log: suspects }),
    suspects,
  );
  let fetched: Promise<void> | undefined;
  const openBackend = async () => {
    fetched = fetchMissingModel(settings, stop, log);
    await supervisor.start().catch((error: unknown) => {
      // A Ctrl-C ends an instance that cannot listen for it yet; there is nothing else to report then.
      if (!stop.aborted) throw explainListenFailure(error, serverASettings, settings);
    });
    return supervisor.address === null ? 'restarting' : `${formatAddress(supervisor.address)} (child)`;
  };
  try {
    await runServerA(settings, { backend: supervisor, suspectBackend, openBackend, token, newStore, stop });
  } finally {
    await Promise.all([supervisor.close(), suspectBackend.close(), fetched]);
  }
}

/** Throws BAD_REQUEST for a --model that does not exist. Without --model a missing classifier is not an error. */
async function checkModel(model: string | undefined): Promise<void> {
  if (model === undefined) return;
  await access(model).catch(() => {
    throw invalid('an .onnx file', '--model', model);
  });
}

/** Server B's settings: every common setting as Server A has it, listening on loopback. */
function childSettings(settings: ServerASettings, token: string, environment: Environment): ServerBSettings {
  return {
    ...resolveSettings(serverBSettings, SERVER_B_PREFIX, {}, environment),
    ...z.object(commonSettings).parse(settings),
    ip: '127.0.0.1',
    port: settings.serverBPort,
    token,
  };
}

/** The settings of a second Server B, which runs one suspect at a time. */
function forSuspects(settings: ServerBSettings): ServerBSettings {
  return { ...settings, port: 0, threads: 1, jobsPerThread: 1 };
}
