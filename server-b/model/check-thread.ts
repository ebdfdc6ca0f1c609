import { parentPort, workerData } from 'node:worker_threads';
import { z } from 'zod';
import { Classifier } from '../operations/classifier.ts';

// Entry point of a thread that loads one model, posts null when that worked or else the reason, and ends.
const files = z.object({ onnx: z.string(), synset: z.string() }).parse(workerData);
parentPort?.postMessage(await check());

async function check(): Promise<string | null> {
  try {
    const classifier = await Classifier.load(files);
    await classifier.release();
    return null;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}
