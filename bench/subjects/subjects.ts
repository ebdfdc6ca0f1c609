import type { Bench } from '../case.ts';
import { Load } from '../load/load.ts';
import { startService } from '../service.ts';
import { resizing, type Work } from '../work.ts';
import { Bare, TRIED } from './bare.ts';
import { startBullmq } from './bullmq.ts';
import { Darkroom } from './darkroom.ts';
import type { HttpSubject } from './http-subject.ts';
import { KoaSharp } from './koa-sharp.ts';
import type { Sample, Subject } from './subject.ts';

/** Tasks that a service does first of all, and that are measured as those of a fresh process. */
const FRESH_TASKS = 300;
/** Tasks after which a service counts as warm: V8 has compiled by then what each task runs. */
const WARM_UP_TASKS = 1500;

/** The thumbnail that services warm up with: 10 kB, resized by half. */
export async function thumbnailWork({ pictures }: Pick<Bench, 'pictures'>): Promise<Work> {
  return resizing('thumbnail', await pictures.jpegOf(320, 10_000), 0.5);
}

/** Darkroom and its references, warm. */
export interface Subjects {
  readonly load: Load;
  readonly darkroom: Darkroom;
  readonly bare: Bare;
  readonly koa: KoaSharp;
  /** Null where Redis or BullMQ is not installed. */
  readonly bullmq: HttpSubject | null;
  /** What the first thumbnails took in a fresh Darkroom. */
  readonly fresh: Sample;
  close(): Promise<void>;
}

/** Starts all of them, one after the other, and warms each up. */
export async function startSubjects(bench: Bench): Promise<Subjects> {
  const load = new Load();
  const work = await thumbnailWork(bench);
  const started: Subject[] = [];
  const close = async () => {
    for (const subject of started) await subject.close();
    await load.close();
  };
  const warmUp = async <Kind extends Subject>(subject: Kind): Promise<Sample> => {
    started.push(subject);
    bench.say(`${subject.name} warms up`);
    const first = await subject.measure(work, bench.count(FRESH_TASKS, 8));
    await subject.measure(work, bench.count(WARM_UP_TASKS, 8));
    return first;
  };
  try {
    const darkroom = new Darkroom(await startService(bench.modelFlags), load);
    const fresh = await warmUp(darkroom);
    const bare = new Bare(bench.model, bench.isSmall ? [2] : TRIED);
    await warmUp(bare);
    const koa = await KoaSharp.start(bench.folder, bench.model, load);
    await warmUp(koa);
    const bullmq = await startBullmq(bench.folder, load);
    if (bullmq !== null) await warmUp(bullmq);
    return { load, darkroom, bare, koa, bullmq, fresh, close };
  } catch (error) {
    await close();
    throw error;
  }
}
