import type { OutputSpec } from '../../shared/operations/index.ts';
import type { Case } from '../case.ts';
import { cpuRatio, rateRatio, takeTurns } from '../compare.ts';
import { LABELS } from '../work.ts';

/** One output of each operation. */
const OPERATIONS: readonly OutputSpec[] = [
  { name: 'resize', operation: 'resize', scale_factor: 0.5 },
  { name: 'circle', operation: 'circle', size: 256 },
  { name: 'placeholder', operation: 'placeholder' },
  LABELS,
];

/** Every photograph with each operation, a task for each. */
export const mix: Case = {
  name: 'mix',
  title: 'every photograph, each operation',
  async run(bench) {
    const { darkroom, bare } = await bench.subjects();
    const photos = await bench.pictures.photos();
    const operations = OPERATIONS.filter((spec) => bench.model !== null || spec !== LABELS);
    const tasks = photos.flatMap((picture) => operations.map((spec) => ({ picture, outputs: [spec] })));
    const count = bench.count(tasks.length, 2 * operations.length);
    const [ours = [], theirs = []] = await takeTurns(bench, { name: 'mix', tasks }, count, [darkroom, bare]);
    const [subject, reference] = [
      { name: darkroom.name, samples: ours },
      { name: bare.name, samples: theirs },
    ];
    return [cpuRatio(subject, reference, { most: 1.1 }), rateRatio(subject, reference, null)];
  },
};
