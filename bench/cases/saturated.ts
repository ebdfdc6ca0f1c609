import type { Bench, Case, Figure, Target } from '../case.ts';
import { ratioFigure } from '../compare.ts';
import { median, percentile, spreadOf } from '../statistics.ts';
import { acceptedUpload } from '../subjects/darkroom.ts';
import type { HttpSubject } from '../subjects/http-subject.ts';
import { completed, submit } from '../submit.ts';
import { labelling, resizing, type Task, type Work } from '../work.ts';
import { get, probe } from './probe.ts';

// What a service answers while as many uploads wait as saturate it. A process of its own sends those uploads.

/** The record of a task that has ended, while the pool is busy. */
export const statusUnderLoad: Case = {
  name: 'status',
  title: 'GET /status while the pool is saturated',
  async run(bench) {
    const { darkroom } = await bench.subjects();
    const work = await photoWork(bench);
    const id = await endedTask(darkroom.origin, work);
    const probing = { count: bench.count(300, 5), pauseMs: 10, status: 200 };
    const rounds = await inRounds(bench, () =>
      underLoad(bench, darkroom, work, () => probe(darkroom.origin, get(`/status/${id}`), probing)),
    );
    return [timeFigure(rounds, 0.5, { most: 2 }), timeFigure(rounds, 0.99, { most: 25 })];
  },
};

/** Uploads that do not wait for the end of their tasks, while the pool is busy. */
export const uploadUnderLoad: Case = {
  name: 'upload',
  title: 'POST /upload accepted while the pool is saturated, 1 MB',
  async run(bench) {
    const { darkroom } = await bench.subjects();
    const work = await photoWork(bench);
    const request = acceptedUpload(firstTask(work));
    const probing = { count: bench.count(40, 3), pauseMs: 100, status: 202 };
    const rounds = await inRounds(bench, () =>
      underLoad(bench, darkroom, work, () => probe(darkroom.origin, request, probing)),
    );
    // The queue is first come, first served: when this task has ended, all of them have.
    await endedTask(darkroom.origin, work);
    return [timeFigure(rounds, 0.5, null), timeFigure(rounds, 0.99, { most: 150 })];
  },
};

/** The health check, while the same uploads keep Darkroom, or what one would write instead, busy. */
export const healthUnderLoad: Case = {
  name: 'health',
  title: 'health check under the same load',
  async run(bench) {
    const { darkroom, koa } = await bench.subjects();
    const photo = await bench.pictures.photo();
    const work = bench.model === null ? await photoWork(bench) : labelling('labels', photo, 0.5);
    const probing = { count: bench.count(200, 5), pauseMs: 10, status: 200 };
    const [ours, theirs]: [number[][], number[][]] = [[], []];
    await inRounds(bench, async () => {
      ours.push(await underLoad(bench, darkroom, work, () => probe(darkroom.origin, get('/livez'), probing)));
      theirs.push(await underLoad(bench, koa, work, () => probe(koa.origin, get('/health'), probing)));
    });
    const p99 = (rounds: readonly (readonly number[])[]) => rounds.map((times) => percentile(times, 0.99));
    const {
      darkroom: koaTime = '',
      reference: darkroomTime = '',
      ...figure
    } = ratioFigure(`p99, ${koa.name} ÷ ${darkroom.name}`, 'ms', p99(theirs), p99(ours), { least: 10 });
    return [{ ...figure, darkroom: darkroomTime, reference: koaTime }];
  },
};

/** Runs `measure` while uploads of the work saturate the service. */
async function underLoad<Result>(
  bench: Bench,
  subject: HttpSubject,
  work: Work,
  measure: () => Promise<Result>,
): Promise<Result> {
  const { load } = await bench.subjects();
  const { result } = await load.during(await subject.trafficOf(work), measure);
  return result;
}

async function inRounds<Result>({ rounds }: Bench, measure: () => Promise<Result>): Promise<Result[]> {
  const results: Result[] = [];
  for (let round = 0; round < rounds; round += 1) results.push(await measure());
  return results;
}

/** A percentile of all times, and its spread over the rounds. */
function timeFigure(rounds: readonly (readonly number[])[], share: number, target: Target | null): Figure {
  const each = rounds.map((times) => percentile(times, share));
  const value = share === 0.5 ? median(rounds.flat()) : percentile(rounds.flat(), share);
  return { figure: `p${share * 100}`, value, unit: 'ms', spread: spreadOf(each), target };
}

async function photoWork({ pictures }: Bench): Promise<Work> {
  return resizing('upload-0.5', await pictures.photo(), 0.5);
}

function firstTask({ name, tasks: [task] }: Work): Task {
  if (task === undefined) throw new Error(`Expected a task in the work ${name}, received none`);
  return task;
}

async function endedTask(origin: string, work: Work): Promise<string> {
  const id = await submit(origin, firstTask(work));
  await completed(origin, id);
  return id;
}
