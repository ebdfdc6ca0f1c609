import type { Bench, Case, Row } from '../case.ts';
import { cpuRatio, type Measured, rateRatio, takeTurns } from '../compare.ts';
import { thumbnailWork } from '../subjects/subjects.ts';
import { labelling, resizing, type Work } from '../work.ts';
import { noClassifier } from './no-classifier.ts';

// One picture, one size: Darkroom, and what one would write instead, as multiples of the bare loop.

interface Column {
  /** CPU ÷ that of the bare loop, at most; rate ÷ that of the bare loop, at least. */
  readonly cpu: number;
  readonly rate: number;
  /** Tasks of a round. */
  readonly tasks: number;
  work(bench: Bench): Promise<Work>;
}

/** 8.5 megapixels, 1 MB, at half its size. */
export const upload05: Case = {
  name: 'upload-0.5',
  title: '1 MB, 8.5 MP at 0.5',
  run: (bench) => runColumn(bench, { cpu: 1.1, rate: 0.92, tasks: 48, work: resizePhoto(0.5) }),
};

/** The same at a tenth of its size. */
export const upload01: Case = {
  name: 'upload-0.1',
  title: '1 MB, 8.5 MP at 0.1',
  run: (bench) => runColumn(bench, { cpu: 1.4, rate: 0.7, tasks: 96, work: resizePhoto(0.1) }),
};

/** 10 kB at half its size: nearly all is the service. */
export const thumbnail: Case = {
  name: 'thumbnail',
  title: '10 kB thumbnail at 0.5',
  async run(bench) {
    const { fresh, bare } = await bench.subjects();
    const work = await thumbnailWork(bench);
    const rows = await runColumn(bench, { cpu: 2, rate: 0.5, tasks: 400, work: async () => work });
    const beside = await bare.measure(work, bench.count(400, 4));
    const first = cpuRatio({ name: 'fresh Darkroom', samples: [fresh] }, { name: bare.name, samples: [beside] }, null);
    return [...rows, first];
  },
};

/** 8.5 megapixels, 1 MB, at half its size, with labels. */
export const labels: Case = {
  name: 'labels',
  title: '1 MB, 8.5 MP at 0.5, labels',
  async run(bench) {
    if (bench.model === null) return [noClassifier('CPU and rate, Darkroom ÷ bare loop')];
    const work = async () => labelling('labels', await bench.pictures.photo(), 0.5);
    return runColumn(bench, { cpu: 1.1, rate: 0.9, tasks: 48, work });
  },
};

function resizePhoto(factor: number): Column['work'] {
  return async ({ pictures }) => resizing(`upload-${factor}`, await pictures.photo(), factor);
}

async function runColumn(bench: Bench, { cpu, rate, tasks, work: workOf }: Column): Promise<Row[]> {
  const { darkroom, bare, koa, bullmq } = await bench.subjects();
  const work = await workOf(bench);
  // BullMQ's worker gives no labels.
  const canRun = bullmq !== null && work.tasks.every(({ outputs }) => outputs.length === 1);
  const subjects = [bare, darkroom, koa, ...(canRun ? [bullmq] : [])];
  const samples = await takeTurns(bench, work, bench.count(tasks, 2), subjects);
  const measured = subjects.map(({ name }, index): Measured => ({ name, samples: samples[index] ?? [] }));
  const [reference, ours, ...peers] = measured;
  if (reference === undefined || ours === undefined) return [];
  return [
    cpuRatio(ours, reference, { most: cpu }),
    rateRatio(ours, reference, { least: rate }),
    ...peers.flatMap((peer) => [cpuRatio(peer, reference, null), rateRatio(peer, reference, null)]),
    ...(bullmq === null ? [NO_BULLMQ] : []),
  ];
}

const NO_BULLMQ: Row = {
  figure: 'CPU and rate, BullMQ + Redis ÷ bare loop',
  reason: 'needs redis-server, and `npm install` in bench/peers/bullmq',
};
