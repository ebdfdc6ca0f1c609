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

// Where the CPU of a task goes: each thread of Server A and Server B, in milliseconds of a task, once they are warm.
// Run with: node dist/bench/threads.js [TASKS]

const [tasks = 300] = process.argv.slice(2).map(Number);
const WARM_UP_TASKS = 1500;

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

/** Prints the milliseconds that each thread used for one task. */
async function show(darkroom: Darkroom, work: Work, count: number): Promise<void> {
  await darkroom.measure(work, Math.ceil(count / 4));
  const { serverA, serverB } = darkroom.service;
  const before = new Map([...threadsOf('A', serverA), ...threadsOf('B', serverB)]);
  const { cpuMs, tasksPerSecond } = await darkroom.measure(work, count);
  const after = [...threadsOf('A', serverA), ...threadsOf('B', serverB)];
  const used = after.map(([name, ms]): [string, number] => [name, (ms - (before.get(name) ?? 0)) / count]);
  console.log(`\n${work.name}: ${cpuMs.toFixed(2)} ms a task, ${tasksPerSecond.toFixed(1)} a second`);
  for (const [name, ms] of used.filter(([, each]) => each >= 0.05).sort())
    console.log(`  ${name.padEnd(34)}${ms.toFixed(2)} ms`);
}

/** Milliseconds of CPU of each thread so far, by server, thread name and thread id. */
function threadsOf(server: string, pid: number): [string, number][] {
  return readdirSync(`/proc/${pid}/task`).map((thread) => {
    const name = readFileSync(`/proc/${pid}/task/${thread}/comm`, 'utf8').trim();
    const nanoseconds = Number(readFileSync(`/proc/${pid}/task/${thread}/schedstat`, 'utf8').split(' ')[0]);
    return [`${server} ${thread === String(pid) ? 'main' : name} ${thread}`, nanoseconds / 1e6];
  });
}
