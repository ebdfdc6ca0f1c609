import { SingleBar } from 'cli-progress';
import type { ModelFiles } from '../server-b/model.ts';
import { fetchModel } from '../server-b/model-install.ts';
import { abortOnSignal } from './signals.ts';

/** Fetches the official classifier into the data folder, with a bar where standard error is a terminal. */
export async function fetchModelWithBar(dataDir: string): Promise<ModelFiles> {
  const bar = new SingleBar({
    format: '{bar} {value}/{total} bytes {eta_formatted}',
    barCompleteChar: '█',
    barIncompleteChar: '░',
    clearOnComplete: true,
    gracefulExit: false,
    hideCursor: true,
    // Elsewhere than at a terminal it draws nothing.
    noTTYOutput: false,
  });
  const onProgress = (bytes: number, total: number): void => {
    if (bar.isActive) bar.update(bytes);
    else bar.start(total, bytes);
  };
  try {
    return await fetchModel({ dataDir, signal: abortOnSignal(), onProgress });
  } finally {
    bar.stop();
  }
}
