import { setTimeout as sleep } from 'node:timers/promises';
import type { Case } from '../case.ts';
import { valueFigure } from '../compare.ts';
import { fineCpuOf, treeOf } from '../processes.ts';
import { startService } from '../service.ts';

/** After the start, whose garbage V8 collects for more than half a minute, in milliseconds. */
const SETTLE_MS = 45_000;

/** The CPU of a service that nobody uses, as a share of one core. */
export const idle: Case = {
  name: 'idle',
  title: 'idle service',
  async run(bench) {
    const service = await startService(bench.modelFlags);
    const shares: number[] = [];
    try {
      await sleep(bench.isSmall ? 0 : SETTLE_MS);
      const pids = treeOf(service.serverA);
      for (let round = 0; round < bench.rounds; round += 1) {
        const seconds = bench.count(10, 1);
        const before = fineCpuOf(pids);
        await sleep(seconds * 1000);
        shares.push((100 * (fineCpuOf(pids) - before)) / (seconds * 1000));
      }
    } finally {
      await service.close();
    }
    return [valueFigure('CPU of one core, all processes', '%', shares, { most: 0.3 })];
  },
};
