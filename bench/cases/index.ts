import type { Case } from '../case.ts';
import { classify } from './classify.ts';
import { labels, thumbnail, upload01, upload05 } from './columns.ts';
import { growth } from './growth.ts';
import { idle } from './idle.ts';
import { latency } from './latency.ts';
import { poolMemory, queuedMemory } from './memory.ts';
import { mix } from './mix.ts';
import { healthUnderLoad, statusUnderLoad, uploadUnderLoad } from './saturated.ts';
import { fourOutputs, oneTask } from './several-outputs.ts';
import { start } from './start.ts';
import { restart, storedCost } from './stored.ts';

/** All cases, in the order of the table. A new one needs a line here. */
export const CASES: readonly Case[] = [
  upload05,
  upload01,
  thumbnail,
  labels,
  fourOutputs,
  oneTask,
  classify,
  mix,
  latency,
  statusUnderLoad,
  uploadUnderLoad,
  healthUnderLoad,
  queuedMemory,
  poolMemory,
  idle,
  storedCost,
  restart,
  start,
  growth,
];
