import type { ModelFiles, ModelPlace } from '../../server-b/model/find.ts';
import type { Logger } from '../../shared/log.ts';

/**
 * Fetches the official classifier when there is none, unless --no-model-fetch forbids it. Never rejects: without a
 * classifier the server does everything else, and the log says what to do.
 */
export async function fetchMissingModel(
  settings: { readonly model?: string | undefined; readonly dataDir: string; readonly modelFetch: boolean },
  signal: AbortSignal,
  log: Logger,
): Promise<void> {
  const place: ModelPlace = { model: settings.model, dataDir: settings.dataDir };
  if (!settings.modelFetch || place.model !== undefined) return;
  try {
    const { findModel } = await import('../../server-b/model/find.ts');
    if ((await findModel(place)) === null) await fetchModelWithBar(place.dataDir, signal);
  } catch (error) {
    if (signal.aborted) return;
    const reason = error instanceof Error ? error.message : String(error);
    log.warn({ reason }, 'there is no classifier; pictures get no labels until `darkroom model install <file>`');
  }
}

/** Fetches the official classifier into the data folder, with a bar where standard error is a terminal. */
export async function fetchModelWithBar(dataDir: string, signal: AbortSignal): Promise<ModelFiles> {
  const [{ SingleBar }, { fetchModel }] = await Promise.all([
    import('cli-progress'),
    import('../../server-b/model/install.ts'),
  ]);
  const bar = new SingleBar({
    format: '{bar} {value}/{total} bytes {eta_formatted}',
    barCompleteChar: '█',
    barIncompleteChar: '░',
    clearOnComplete: true,
    gracefulExit: false,
    hideCursor: true,
    // Without a terminal it draws nothing.
    noTTYOutput: false,
  });
  const onProgress = (bytes: number, total: number): void => {
    if (bar.isActive) bar.update(bytes);
    else bar.start(total, bytes);
  };
  try {
    return await fetchModel({ dataDir, signal, onProgress });
  } finally {
    bar.stop();
  }
}
