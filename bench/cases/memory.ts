import { statSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Bench, Case, Row } from '../case.ts';
import { valueFigure } from '../compare.ts';
import { freePort } from '../free-port.ts';
import { Load } from '../load/load.ts';
import { type Kind, makePicture, makeSources } from '../memory-pictures.ts';
import { usageOf } from '../processes.ts';
import { startService } from '../service.ts';
import { acceptedUpload } from '../subjects/darkroom.ts';
import { completed, submit } from '../submit.ts';
import { labelling, resizing } from '../work.ts';

/** Server A's memory with a full queue. Its Server B is on a machine that is off: nothing listens there. */
export const queuedMemory: Case = {
  name: 'queued-memory',
  title: '10,000 queued tasks of 100 kB',
  async run(bench) {
    const count = bench.count(10_000, 50);
    const picture = await bench.pictures.jpegOf(1200, 100_000);
    const requests = resizing('queued', picture, 0.5).tasks.map(acceptedUpload);
    const service = await startService(['--server-b', `127.0.0.1:${await freePort()}`], { command: 'server-a' });
    const load = new Load();
    try {
      bench.say(`${count} uploads are queued`);
      await load.run({ origin: service.url, requests, atOnce: 32 }, count);
      const { residentMib, peakMib } = memoryOf(service.serverA);
      return [
        valueFigure("Server A's resident memory", 'MiB', [residentMib], { most: 200 }),
        valueFigure('its peak', 'MiB', [peakMib], null),
      ];
    } finally {
      await load.close();
      await service.close();
    }
  },
};

/** Kinds of picture that decoders treat differently. */
const KINDS: readonly Kind[] = ['jpeg', 'jpeg progressive', 'png'];
/** What `--max-pixels` allows. */
const LARGEST_MEGAPIXELS = 99.9;
/** Jobs that one thread runs at once, by default. */
const JOBS_PER_THREAD = 2;

/** Server B's memory while each thread has all the jobs it takes, each with a picture of the largest size. */
export const poolMemory: Case = {
  name: 'pool-memory',
  title: 'full pool of the largest allowed pictures, at 0.5 with labels',
  async run(bench) {
    const folder = await mkdtemp(join(tmpdir(), 'darkroom-bench-'));
    try {
      bench.say('the largest pictures are made');
      const sources = await makeSources(folder, bench.isSmall ? 1 : LARGEST_MEGAPIXELS);
      const rows: Row[] = [];
      for (const kind of KINDS) {
        const path = join(folder, 'picture');
        await makePicture(kind, sources, path);
        rows.push(await fillPool(bench, kind, path));
      }
      return rows;
    } finally {
      await rm(folder, { recursive: true });
    }
  },
};

async function fillPool(bench: Bench, kind: Kind, path: string): Promise<Row> {
  const work = bench.model === null ? resizing('pool', path, 0.5) : labelling('pool', path, 0.5);
  const slots = availableParallelism() * JOBS_PER_THREAD;
  const service = await startService(bench.modelFlags);
  try {
    bench.say(`${kind}, ${(statSync(path).size / 1e6).toFixed(1)} MB`);
    const ids: string[] = [];
    for (const task of work.tasks) {
      for (let count = 0; count < bench.count(2 * slots, slots); count += 1) ids.push(await submit(service.url, task));
    }
    for (const id of ids) await completed(service.url, id);
    return valueFigure(`Server B's peak, ${kind}`, 'MiB', [memoryOf(service.serverB).peakMib], { most: 700 });
  } finally {
    await service.close();
  }
}

function memoryOf(pid: number): { residentMib: number; peakMib: number } {
  return usageOf(pid) ?? { residentMib: Number.NaN, peakMib: Number.NaN };
}
