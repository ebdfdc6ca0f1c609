import { parentPort, workerData } from 'node:worker_threads';
import sharp from 'sharp';
import { setUpLibvips } from '../../server-b/operations/libvips.ts';

// A thread that sets libvips up like a worker, and tells what the whole process then has.

setUpLibvips(workerData);
parentPort?.postMessage({ cachedItems: sharp.cache().items.max, threads: sharp.concurrency() });
