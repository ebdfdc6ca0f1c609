import { setTimeout as sleep } from 'node:timers/promises';
import { request } from 'undici';
import type { Bench, Case } from '../case.ts';
import { cpuRatio, takeTurns, valueFigure } from '../compare.ts';
import { Load } from '../load/load.ts';
import { startService } from '../service.ts';
import { makeStored } from '../stored-tasks.ts';
import { Darkroom } from '../subjects/darkroom.ts';
import { thumbnailWork } from '../subjects/subjects.ts';

/** Between two questions if the service is ready, in milliseconds. */
const RETRY_MS = 10;

/** What a task costs in a full store, beside one that is nearly empty. */
export const storedCost: Case = {
  name: 'stored-cost',
  title: 'cost of a task with 100,000 stored ÷ with 1,000',
  async run(bench) {
    const folders: string[] = [];
    for (const completed of [bench.count(100_000, 200), bench.count(1000, 20)]) {
      bench.say(`${completed} tasks are stored`);
      folders.push(await makeStored(bench.folder, bench.pictures, { completed, queued: 1 }));
    }
    const work = await thumbnailWork(bench);
    const load = new Load();
    const started: Darkroom[] = [];
    try {
      for (const dataDir of folders) {
        const subject = new Darkroom(await startService(['--no-model-fetch'], { dataDir }), load);
        started.push(subject);
        await subject.measure(work, bench.count(600, 4));
      }
      const [many = [], few = []] = await takeTurns(bench, work, bench.count(300, 4), started);
      const [subject, reference] = [
        { name: '100,000 stored', samples: many },
        { name: '1,000 stored', samples: few },
      ];
      return [cpuRatio(subject, reference, { most: 1.1 })];
    } finally {
      for (const subject of started) await subject.close();
      await load.close();
    }
  },
};

/** How soon a service with a full store and a full queue is ready again. */
export const restart: Case = {
  name: 'restart',
  title: 'restart with 100,000 stored, 10,000 queued',
  async run(bench) {
    const counts = { completed: bench.count(100_000, 200), queued: bench.count(10_000, 20) };
    bench.say(`${counts.completed} tasks are stored, ${counts.queued} queued`);
    const dataDir = await makeStored(bench.folder, bench.pictures, counts);
    const times: number[] = [];
    for (let round = 0; round < bench.rounds; round += 1) times.push(await readyAfter(bench, dataDir));
    return [valueFigure('time to ready', 's', times, { most: 3 })];
  },
};

/** Seconds from the start of the process until /readyz answers 200. */
async function readyAfter({ modelFlags }: Bench, dataDir: string): Promise<number> {
  const startedAt = performance.now();
  const service = await startService(modelFlags, { dataDir });
  try {
    while (!(await isReady(service.url))) await sleep(RETRY_MS);
    return (performance.now() - startedAt) / 1000;
  } finally {
    await service.close();
  }
}

async function isReady(origin: string): Promise<boolean> {
  const answer = await request(`${origin}/readyz`);
  await answer.body.dump();
  return answer.statusCode === 200;
}
