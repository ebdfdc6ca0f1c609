import { readdirSync, readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { findModel, Pictures } from './inputs.ts';
import { Load } from './load/load.ts';
import { describeRun } from './machine.ts';
import { startService } from './service.ts';
import { Darkroom } from './subjects/darkroom.ts';
import { thumbnailWork } from './subjects/subjects.ts';
import { resizing, type Work } from './work.ts';

// Where the CPU of a task goes, in milliseconds, by the threads of Server A and Server B, once they are warm.
// Run with: node dist/bench/threads.js [TASKS]

const [tasks = 300] = process.argv.slice(2).map(Number);
const WARM_UP_TASKS = 1500;
/** V8's helper threads (node --v8-pool-size), and libuv's where the environment has no other number. */
const V8_THREADS = 4;
const UV_THREADS = 4;

const folder = await mkdtemp(join(tmpdir(), 'darkroom-threads-'));
const load = new Load();
try {
  const pictures = new Pictures(folder);
  const model = findModel();
  const darkroom = new Darkroom(await startService(model === null ? ['--no-model-fetch'] : ['--model', model]), load);
  try {
    const small = await thumbnailWork({ pictures });
    await darkroom.measure(small, WARM_UP_TASKS);
    console.log(await describeRun(`node dist/bench/threads.js ${tasks}`, 1));
    await show(darkroom, small, tasks);
    const photo = await pictures.photo();
    await show(darkroom, resizing('upload-0.1', photo, 0.1), tasks);
    await show(darkroom, resizing('upload-0.5', photo, 0.5), Math.ceil(tasks / 4));
  } finally {
    await darkroom.close();
  }
} finally {
  await load.close();
  await rm(folder, { recursive: true });
}

/** Prints the milliseconds that the threads of each kind used for one task. */
async function show(darkroom: Darkroom, work: Work, count: number): Promise<void> {
  await darkroom.measure(work, Math.ceil(count / 4));
  const { serverA, serverB } = darkroom.service;
  const read = () => [...cpuByKind('A', serverA, UV_THREADS), ...cpuByKind('B', serverB, uvThreadsOf(serverB))];
  const before = new Map(read());
  const { cpuMs, tasksPerSecond } = await darkroom.measure(work, count);
  console.log(`\n${work.name}: ${cpuMs.toFixed(2)} ms a task, ${tasksPerSecond.toFixed(1)} a second`);
  for (const [kind, ms] of read()) {
    const each = (ms - (before.get(kind) ?? 0)) / count;
    if (each >= 0.005) console.log(`  ${kind.padEnd(16)}${each.toFixed(2).padStart(8)} ms`);
  }
}

/** Milliseconds of CPU so far, by the kind of thread. */
function cpuByKind(server: string, pid: number, uvThreads: number): Map<string, number> {
  const sums = new Map<string, number>();
  let unnamed = 0;
  for (const thread of readdirSync(`/proc/${pid}/task`)
    .map(Number)
    .sort((a, b) => a - b)) {
    const name = readFileSync(`/proc/${pid}/task/${thread}/comm`, 'utf8').trim();
    let kind = `${server} ${thread === pid ? 'main' : name.split(/[ /]/)[0]}`;
    if (thread !== pid && name === 'node') {
      kind = `${server} ${kindOf(unnamed, uvThreads)}`;
      unnamed += 1;
    }
    const nanoseconds = Number(readFileSync(`/proc/${pid}/task/${thread}/schedstat`, 'utf8').split(' ')[0]);
    sums.set(kind, (sums.get(kind) ?? 0) + nanoseconds / 1e6);
  }
  return sums;
}

/** Node names none of its threads. It starts V8's first, then libuv's at their first use, then the program's own. */
function kindOf(index: number, uvThreads: number): string {
  if (index < V8_THREADS) return 'V8';
  return index < V8_THREADS + uvThreads ? 'libuv' : 'workers';
}

function uvThreadsOf(pid: number): number {
  const size = /\0UV_THREADPOOL_SIZE=(\d+)/.exec(readFileSync(`/proc/${pid}/environ`, 'utf8'))?.[1];
  return Number(size ?? UV_THREADS);
}
