import type { OutputSpec } from '../../shared/operations/index.ts';
import type { Bench, Case, Figure } from '../case.ts';
import { cpuRatio, takeTurns } from '../compare.ts';
import type { Subject } from '../subjects/subject.ts';
import { FOUR_SIZES, LABELS } from '../work.ts';
import { noClassifier } from './no-classifier.ts';

/** Four sizes and labels from one upload, beside what one would write instead, which decodes for each of them. */
export const fourOutputs: Case = {
  name: 'four-outputs',
  title: '1600, 800, 400 and 200 px, and labels',
  async run(bench) {
    if (bench.model === null) return [noClassifier('CPU, Darkroom ÷ Koa + sharp')];
    const { darkroom, koa, bare } = await bench.subjects();
    const outputs = [...FOUR_SIZES, LABELS];
    const work = { name: 'four-outputs', tasks: [{ picture: await bench.pictures.photo(), outputs }] };
    const [ours = [], theirs = [], loop = []] = await takeTurns(bench, work, bench.count(24, 2), [darkroom, koa, bare]);
    const subject = { name: darkroom.name, samples: ours };
    return [
      cpuRatio(subject, { name: koa.name, samples: theirs }, { most: 0.65 }),
      cpuRatio(subject, { name: bare.name, samples: loop }, null),
    ];
  },
};

/** The outputs that a web shop needs of each photograph. */
const SHOP: readonly OutputSpec[] = [
  { name: 'hero', operation: 'resize', width: 1600 },
  { name: 'card', operation: 'resize', width: 400 },
  { name: 'thumb', operation: 'resize', width: 200, height: 200, fit: 'cover' },
  { name: 'placeholder', operation: 'placeholder' },
];

/** One task with several outputs, beside a task for each of them: what a shared upload and decode save. */
export const oneTask: Case = {
  name: 'one-task',
  title: 'several outputs in one task, and in a task each',
  async run(bench) {
    const labels = bench.model === null ? [] : [LABELS];
    return [
      await oneBesideEach(bench, 'a shop', [...SHOP, ...labels]),
      await oneBesideEach(bench, 'four sizes', [...FOUR_SIZES, ...labels]),
    ];
  },
};

async function oneBesideEach(bench: Bench, what: string, outputs: readonly OutputSpec[]): Promise<Figure> {
  const { darkroom } = await bench.subjects();
  const picture = await bench.pictures.photo();
  const together = { name: `${what} together`, tasks: [{ picture, outputs }] };
  const apart = { name: `${what} apart`, tasks: outputs.map((one) => ({ picture, outputs: [one] })) };
  // A sample is of whole pictures: one task each here, as many tasks as there are outputs there.
  const each: Subject = {
    name: 'in a task each',
    measure: async (_, pictures) => {
      const { cpuMs, tasksPerSecond } = await darkroom.measure(apart, pictures * outputs.length);
      return { cpuMs: cpuMs * outputs.length, tasksPerSecond: tasksPerSecond / outputs.length };
    },
    close: async () => {},
  };
  const [one = [], others = []] = await takeTurns(bench, together, bench.count(16, 1), [darkroom, each]);
  return cpuRatio({ name: `${what} in one task`, samples: one }, { name: each.name, samples: others }, null);
}
