import type { Logger } from '../shared/log.ts';
import type { ServerASettings } from './config.ts';
import { Dispatcher } from './dispatch/dispatcher.ts';
import type { Backend } from './dispatch/lanes.ts';
import { createApp } from './http/app.ts';
import { listen } from './http/server.ts';
import { Tasks } from './tasks/tasks.ts';

/** How long jobs under way may take to finish at the end, in milliseconds; the rest stays pending. */
const DRAIN_MS = 20_000;
/** How long requests under way may then take to be answered, in milliseconds. */
const HTTP_GRACE_MS = 2000;

export interface ServerAOptions {
  readonly backend: Backend;
  /** The secret Server B expects. */
  readonly token: string | undefined;
  readonly log: Logger;
  /** The store cannot be written any more; the process should end, and start again where somebody watches it. */
  readonly onFatal: (error: Error) => void;
}

/** Server A, listening. */
export interface ServerA {
  /** Where HTTP is spoken, such as `http://127.0.0.1:5454`. */
  readonly http: string;
  /** Takes no more pictures, finishes what runs for at most 20 s, closes everything in reverse. */
  close(): Promise<void>;
}

/**
 * Opens the data folder, the lanes and the protocols, in that order. Throws BAD_REQUEST when the folder has an owner,
 * and the system's error when a port is taken; what was opened before is closed again.
 */
export async function startServerA(settings: ServerASettings, options: ServerAOptions): Promise<ServerA> {
  const { backend, token, log } = options;
  const tasks = await Tasks.open({ ...settings, onFatal: options.onFatal }, log);
  const dispatcher = new Dispatcher({
    ledger: tasks.ledger,
    backend,
    token,
    deadlineMs: settings.jobSeconds * 1000,
    log,
  });
  tasks.attach(dispatcher);
  const readiness = () => {
    const { lanes, problem, model } = dispatcher.status;
    return { store: tasks.state, lanes, backend: problem ?? 'up', model: model ?? 'unavailable' };
  };
  try {
    const { ip, port } = settings;
    const http = await listen(createApp({ tasks, settings, readiness, log }), { ip, port, settings });
    return {
      http: http.address,
      // Status and results are answered until the last job is done.
      close: async () => {
        tasks.drain();
        await dispatcher.close(DRAIN_MS);
        await http.close(HTTP_GRACE_MS);
        await tasks.close();
      },
    };
  } catch (error) {
    await dispatcher.close(0);
    await tasks.close();
    throw error;
  }
}
