import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { availableParallelism, cpus } from 'node:os';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { Pool } from 'undici';
import { z } from 'zod';
import { findModel, findPicture } from './inputs.ts';
import { usageOf } from './processes.ts';
import { type Service, startService } from './service.ts';

/**
 * Compares tasks per second and CPU per task of the whole service, over HTTP and with durable storage, with those of a
 * bare loop around sharp and ONNX Runtime that does the same work on the same picture. The two take turns, so that a
 * change of the machine's speed affects both; quote the ratios. Run it by `npm run bench`.
 */
const ROUNDS = Number(process.argv[2] ?? 5);
const TASKS = 48;
const UPLOADS_AT_ONCE = 8;
const JOBS_AT_ONCE = 4;
const FACTORS = [0.1, 0.5];

const resultSchema = z.object({ tasksPerSecond: z.number(), cpuMs: z.number(), peakMib: z.number() });
type Result = z.infer<typeof resultSchema>;
const taskSchema = z.object({ status: z.string(), error: z.unknown() });

async function bareLoop(picture: string, model: string, factor: number): Promise<Result> {
  const script = fileURLToPath(new URL('./bare-loop.js', import.meta.url));
  const words = [script, picture, model, factor, TASKS, JOBS_AT_ONCE].map(String);
  const environment = { ...process.env, UV_THREADPOOL_SIZE: '8' };
  const { stdout } = await promisify(execFile)(process.execPath, words, { env: environment });
  return resultSchema.parse(JSON.parse(stdout));
}

function cpuOf(service: Service): number {
  return (usageOf(service.serverA)?.cpuMs ?? Number.NaN) + (usageOf(service.serverB)?.cpuMs ?? Number.NaN);
}

async function throughService(service: Service, body: Buffer, factor: number, hasModel: boolean): Promise<Result> {
  const pool = new Pool(service.url, { connections: UPLOADS_AT_ONCE });
  const query = `scale_factor=${factor}&classify=${hasModel}&wait=60`;
  const upload = async (count: number) => {
    for (let done = 0; done < count; done += 1) {
      const answer = await pool.request({
        path: `/upload?${query}`,
        method: 'POST',
        headers: { 'content-type': 'image/jpeg' },
        body,
      });
      const task = taskSchema.parse(await answer.body.json());
      if (task.status !== 'completed') throw new Error(`Expected a completed task, received ${JSON.stringify(task)}`);
    }
  };
  await upload(2);
  const cpuBefore = cpuOf(service);
  const startedAt = performance.now();
  await Promise.all(Array.from({ length: UPLOADS_AT_ONCE }, () => upload(TASKS / UPLOADS_AT_ONCE)));
  const seconds = (performance.now() - startedAt) / 1000;
  const cpuMs = (cpuOf(service) - cpuBefore) / TASKS;
  await pool.close();
  return { tasksPerSecond: TASKS / seconds, cpuMs, peakMib: 0 };
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;
}

function row(name: string, values: readonly number[], unit: string): void {
  const shown = [Math.min(...values), median(values), Math.max(...values)].map((value) => value.toFixed(2).padStart(9));
  console.log(`  ${name.padEnd(34)}${shown.join('')}  ${unit}`);
}

const { path: picture, remove } = await findPicture();
const model = findModel() ?? '';
const body = readFileSync(picture);
const service = await startService(model === '' ? ['--no-model-fetch'] : ['--model', model]);
try {
  console.log(
    `${cpus()[0]?.model ?? 'unknown processor'}, ${availableParallelism()} cores, Node ${process.versions.node}`,
  );
  console.log(
    `${picture.split('/').at(-1)}, ${body.length} bytes, ${model === '' ? 'without' : 'with'} classification`,
  );
  console.log(`${ROUNDS} rounds of ${TASKS} tasks each, in turn${' '.repeat(9)}min   median      max`);
  for (const factor of FACTORS) {
    const bare: Result[] = [];
    const served: Result[] = [];
    for (let round = 0; round < ROUNDS; round += 1) {
      bare.push(await bareLoop(picture, model, factor));
      served.push(await throughService(service, body, factor, model !== ''));
    }
    console.log(`factor ${factor}`);
    row(
      'bare loop',
      bare.map((one) => one.tasksPerSecond),
      'tasks/s',
    );
    row(
      'darkroom',
      served.map((one) => one.tasksPerSecond),
      'tasks/s',
    );
    row(
      'darkroom / bare loop',
      served.map((one, round) => one.tasksPerSecond / (bare[round]?.tasksPerSecond ?? 1)),
      'of the tasks/s',
    );
    row(
      'bare loop',
      bare.map((one) => one.cpuMs),
      'ms CPU a task',
    );
    row(
      'darkroom',
      served.map((one) => one.cpuMs),
      'ms CPU a task',
    );
    row(
      'darkroom / bare loop',
      served.map((one, round) => one.cpuMs / (bare[round]?.cpuMs ?? 1)),
      'of the CPU',
    );
    row(
      'bare loop',
      bare.map((one) => one.peakMib),
      'MiB at its peak',
    );
  }
  console.log(`start-up ${service.startMs.toFixed(0)} ms`);
  console.log(
    `peak memory: Server A ${usageOf(service.serverA)?.peakMib.toFixed(0)} MiB, Server B ${usageOf(service.serverB)?.peakMib.toFixed(0)} MiB`,
  );
} finally {
  await service.close();
  await remove();
}
