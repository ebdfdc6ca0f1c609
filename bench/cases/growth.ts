import type { Case } from '../case.ts';
import { Load } from '../load/load.ts';
import { usageOf } from '../processes.ts';
import { startService } from '../service.ts';
import { median, spreadOf } from '../statistics.ts';
import { waitingUpload } from '../subjects/darkroom.ts';
import { thumbnailWork } from '../subjects/subjects.ts';

/** How often the memory is read in a fifth of all tasks. */
const READINGS = 10;
const FIFTHS = 5;

/** The memory of one pair of processes over many tasks. The first fifth does not count: caches fill up in it. */
export const growth: Case = {
  name: 'growth',
  title: 'many tasks through one pair',
  async run(bench) {
    const each = Math.ceil(bench.count(bench.growthTasks, FIFTHS * READINGS) / (FIFTHS * READINGS));
    const requests = (await thumbnailWork(bench)).tasks.map(waitingUpload);
    const service = await startService(['--no-model-fetch']);
    const load = new Load();
    const [serverA, serverB]: [number[], number[]] = [[], []];
    try {
      for (let reading = 0; reading < FIFTHS * READINGS; reading += 1) {
        await load.run({ origin: service.url, requests, atOnce: 8 }, each);
        serverA.push(usageOf(service.serverA)?.residentMib ?? Number.NaN);
        serverB.push(usageOf(service.serverB)?.residentMib ?? Number.NaN);
        if (reading % READINGS === READINGS - 1) bench.say(`${each * (reading + 1)} tasks`);
      }
    } finally {
      await load.close();
      await service.close();
    }
    const tasks = each * FIFTHS * READINGS;
    return [
      growthOf(`Server A's memory, last fifth of ${tasks} tasks ÷ second`, serverA),
      growthOf(`Server B's memory, last fifth of ${tasks} tasks ÷ second`, serverB),
    ];
  },
};

function growthOf(figure: string, readings: readonly number[]) {
  const second = readings.slice(READINGS, 2 * READINGS);
  const last = readings.slice(-READINGS);
  const ratios = last.map((one) => one / median(second));
  const shown = { darkroom: `${median(last).toFixed(0)} MiB`, reference: `${median(second).toFixed(0)} MiB` };
  return { figure, value: median(ratios), unit: '', spread: spreadOf(ratios), target: { most: 1.05 }, ...shown };
}
