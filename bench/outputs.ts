import { readFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { Pool } from 'undici';
import { z } from 'zod';
import { findModel, findPicture } from './inputs.ts';
import { usageOf } from './processes.ts';
import { type Service, startService } from './service.ts';

/**
 * Compares the CPU of one task with five outputs with that of five tasks with one output each, over HTTP and with durable
 * storage. The two take turns, so that a change of the machine's speed affects both; quote the ratio. Run it by
 * `npm run bench:outputs`.
 */
const ROUNDS = Number(process.argv[2] ?? 5);
const REPEATS = 8;
const AT_ONCE = 4;

/** The outputs that a web shop needs of each photograph, and the sizes of a responsive picture. */
const SETS = {
  'a shop: hero, card, thumb, labels, placeholder': [
    { name: 'hero', width: 1600 },
    { name: 'card', width: 400 },
    { name: 'thumb', width: 200, height: 200, fit: 'cover' },
    { name: 'labels', operation: 'classify' },
    { name: 'placeholder', operation: 'placeholder' },
  ],
  '1600, 800, 400 and 200 px, labels': [
    { name: 'w1600', width: 1600 },
    { name: 'w800', width: 800 },
    { name: 'w400', width: 400 },
    { name: 'w200', width: 200 },
    { name: 'labels', operation: 'classify' },
  ],
} as const;

const taskSchema = z.object({ status: z.string(), error: z.unknown() });

/** Milliseconds of CPU of both processes for each picture, uploaded once for each list of outputs. */
async function cpuOf(service: Service, body: Buffer, lists: readonly (readonly object[])[]): Promise<number> {
  const pool = new Pool(service.url, { connections: AT_ONCE });
  const uploadAll = async (count: number) => {
    for (let done = 0; done < count; done += 1) for (const outputs of lists) await upload(pool, body, outputs);
  };
  await uploadAll(1);
  const before = totalCpu(service);
  await Promise.all(Array.from({ length: AT_ONCE }, () => uploadAll(REPEATS / AT_ONCE)));
  const used = totalCpu(service) - before;
  await pool.close();
  return used / REPEATS;
}

async function upload(pool: Pool, body: Buffer, outputs: readonly object[]): Promise<void> {
  const query = new URLSearchParams({ outputs: JSON.stringify(outputs), wait: '60' });
  const headers = { 'content-type': 'image/jpeg' };
  const answer = await pool.request({ path: `/upload?${query}`, method: 'POST', headers, body });
  const task = taskSchema.parse(await answer.body.json());
  if (task.status !== 'completed') throw new Error(`Expected a completed task, received ${JSON.stringify(task)}`);
}

function totalCpu({ serverA, serverB }: Service): number {
  return (usageOf(serverA)?.cpuMs ?? Number.NaN) + (usageOf(serverB)?.cpuMs ?? Number.NaN);
}

const inputs = await findPicture();
const body = readFileSync(inputs.path);
const model = findModel();
const service = await startService(model === null ? ['--no-model-fetch'] : ['--model', model]);
try {
  console.log(`${cpus().length} × ${cpus()[0]?.model}, Node ${process.version}, ${inputs.path.split('/').at(-1)}`);
  console.log(`${ROUNDS} rounds of ${REPEATS} pictures, in turn; ms CPU a picture`);
  for (const [name, outputs] of Object.entries(SETS)) {
    // Without a model labels fail at once and cost nothing, so only pictures are made.
    const drawn = model === null ? outputs.filter((one) => !('operation' in one)) : outputs;
    const ratios: number[] = [];
    for (let round = 0; round < ROUNDS; round += 1) {
      const together = await cpuOf(service, body, [drawn]);
      const apart = await cpuOf(
        service,
        body,
        drawn.map((one) => [one]),
      );
      ratios.push(together / apart);
      console.log(`  ${together.toFixed(0)} for one task, ${apart.toFixed(0)} for ${drawn.length} tasks`);
    }
    const median = ratios.toSorted((one, other) => one - other)[Math.floor(ROUNDS / 2)] ?? Number.NaN;
    console.log(`${name}: one task takes ${median.toFixed(2)} of the CPU of ${drawn.length}`);
  }
} finally {
  await service.close();
  await inputs.remove();
}
