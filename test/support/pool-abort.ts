import { fileURLToPath } from 'node:url';
import { Pool } from '../../server-b/pool.ts';
import { createLogger } from '../../shared/log.ts';
import type { OutputSpec } from '../../shared/operations/index.ts';
import { KILLERS } from './killer-operations.ts';
import { headerOf, LIMITS, own, plain } from './pictures.ts';

// The program of pool.test.ts that processes a picture which ends the whole process.
const operationsModule = fileURLToPath(new URL('./killer-operations.js', import.meta.url));
const log = createLogger('test', 'silent');
const pool = await Pool.open({ threads: 1, jobsPerThread: 1, limits: LIMITS, operationsModule, log });
const body = own(await plain(KILLERS.abortsProcess, KILLERS.abortsProcess, '#336699'));
const image = await headerOf(body);
const outputs: OutputSpec[] = [{ name: 'resize', operation: 'resize', scale_factor: 0.5 }];
await pool.run({ id: 'V1StGXR8_Z5jdHi6B-myT', outputs, image, body, deadlineMs: 5000 }, new AbortController().signal);
await pool.close();
