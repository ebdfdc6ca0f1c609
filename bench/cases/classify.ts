import type { Case } from '../case.ts';
import { cpuRatio, rateRatio, takeTurns } from '../compare.ts';
import { LABELS } from '../work.ts';
import { noClassifier } from './no-classifier.ts';

/** Only labels, of photographs of 500 px. */
export const classify: Case = {
  name: 'classify',
  title: 'labels of 500 px photographs',
  async run(bench) {
    if (bench.model === null) return [noClassifier('rate, Darkroom ÷ bare loop')];
    const { darkroom, bare } = await bench.subjects();
    const photos = await bench.pictures.smallPhotos();
    const work = { name: 'classify', tasks: photos.map((picture) => ({ picture, outputs: [LABELS] })) };
    const [ours = [], theirs = []] = await takeTurns(bench, work, bench.count(180, 4), [darkroom, bare]);
    const [subject, reference] = [
      { name: darkroom.name, samples: ours },
      { name: bare.name, samples: theirs },
    ];
    return [rateRatio(subject, reference, { least: 0.85 }), cpuRatio(subject, reference, null)];
  },
};
