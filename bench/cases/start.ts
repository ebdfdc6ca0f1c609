import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { request } from 'undici';
import type { Bench, Case } from '../case.ts';
import { valueFigure } from '../compare.ts';
import type { LoadRequest } from '../load/messages.ts';
import { portFlags } from '../service.ts';
import { acceptedUpload } from '../subjects/darkroom.ts';
import { thumbnailWork } from '../subjects/subjects.ts';
import { bodyOf } from './probe.ts';

const ROOT = fileURLToPath(new URL('../../../', import.meta.url));
/** Between two uploads while nothing listens yet, in milliseconds. */
const RETRY_MS = 5;

/** How soon a service takes its first picture: an empty data folder, the classifier present. */
export const start: Case = {
  name: 'start',
  title: '`npm start` to the first 202',
  async run(bench) {
    const [upload] = (await thumbnailWork(bench)).tasks.map(acceptedUpload);
    if (upload === undefined) throw new Error('Expected a thumbnail, received none');
    const times: number[] = [];
    for (let round = 0; round < bench.rounds; round += 1) times.push(await acceptedAfter(bench, upload));
    return [valueFigure('time', 's', times, { most: 1.5 })];
  },
};

async function acceptedAfter({ modelFlags }: Bench, upload: LoadRequest): Promise<number> {
  const dataDir = await mkdtemp(join(tmpdir(), 'darkroom-bench-'));
  const ports = await portFlags();
  const [, , , port = ''] = ports;
  const body = await bodyOf(upload);
  const startedAt = performance.now();
  const words = ['start', '--', ...ports, '--data-dir', dataDir, ...modelFlags];
  const npm = spawn('npm', words, { cwd: ROOT, stdio: ['ignore', 'ignore', 'inherit'] });
  const ended = once(npm, 'exit');
  try {
    while ((await statusOf(`http://127.0.0.1:${port}`, upload, body)) !== 202) {
      if (npm.exitCode !== null) throw new Error('npm start has ended.');
      await sleep(RETRY_MS);
    }
    return (performance.now() - startedAt) / 1000;
  } finally {
    npm.kill('SIGTERM');
    await ended;
    await rm(dataDir, { recursive: true });
  }
}

/** The status of the answer; null while nothing listens. */
async function statusOf(origin: string, { method, path, headers }: LoadRequest, body: Buffer): Promise<number | null> {
  try {
    const answer = await request(`${origin}${path}`, { method, headers, body });
    await answer.body.dump();
    return answer.statusCode;
  } catch {
    return null;
  }
}
