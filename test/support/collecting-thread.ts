import { setImmediate as turn } from 'node:timers/promises';
import { parentPort, workerData } from 'node:worker_threads';
import { collectAfter } from '../../server-b/large-job.ts';
import type { OutputSpec } from '../../shared/operations/index.ts';

// A thread that ends a job like a worker, and tells whether the job's body, which nothing uses any more, is still there.

const side = Number(workerData);
const outputs: OutputSpec[] = [{ name: 'resize', operation: 'resize', scale_factor: 0.5 }];
const usual = { frames: 1, channels: 3, depth: 8, alpha: false, progressive: false, orientation: 1 } as const;

function endJob(): WeakRef<Uint8Array> {
  const body = new Uint8Array(1024);
  const image = { format: 'jpeg', width: side, height: side, ...usual } as const;
  collectAfter({ body, image, outputs, deadlineMs: 1000, model: null });
  return new WeakRef(body);
}

const body = endJob();
await turn();
await turn();
parentPort?.postMessage(body.deref() !== undefined);
