import { setTimeout as sleep } from 'node:timers/promises';
import { Client } from 'undici';
import { z } from 'zod';
import type { Bench, Case, Row } from '../case.ts';
import { valueFigure, withUnit } from '../compare.ts';
import type { LoadRequest } from '../load/messages.ts';
import { median } from '../statistics.ts';
import { waitingUpload } from '../subjects/darkroom.ts';
import { thumbnailWork } from '../subjects/subjects.ts';
import { resizing, type Work } from '../work.ts';
import { bodyOf, timed } from './probe.ts';

/** Before each picture, so that the service is idle when it comes, in milliseconds. */
const PAUSE_MS = 50;

const taskSchema = z.object({ result: z.string() });

/** One picture at a time: what upload, wait and download take longer than the bare call. */
export const latency: Case = {
  name: 'latency',
  title: 'one picture on an idle service, upload to result',
  async run(bench) {
    const photo = resizing('upload-0.5', await bench.pictures.photo(), 0.5);
    return [
      await measure(bench, '10 kB at 0.5', await thumbnailWork(bench)),
      await measure(bench, '1 MB at 0.5', photo),
    ];
  },
};

async function measure(bench: Bench, what: string, work: Work): Promise<Row> {
  const { bare, darkroom } = await bench.subjects();
  const [task] = work.tasks;
  if (task === undefined) throw new Error(`Expected a task in the work ${work.name}, received none`);
  const client = new Client(darkroom.origin);
  const request = waitingUpload(task);
  const upload = await bodyOf(request);
  const [ours, theirs, added]: [number[], number[], number[]] = [[], [], []];
  try {
    for (let round = 0; round < bench.rounds; round += 1) {
      const times: [number[], number[]] = [[], []];
      for (let turn = 0; turn < bench.count(20, 2); turn += 1) {
        await sleep(PAUSE_MS);
        times[0].push(1000 * (await bare.run(work, 1, 1)));
        await sleep(PAUSE_MS);
        times[1].push(await timed(() => uploadAndFetch(client, request, upload)));
      }
      const [call, service] = [median(times[0]), median(times[1])];
      theirs.push(call);
      ours.push(service);
      added.push(service - call);
    }
  } finally {
    await client.close();
  }
  const shown = { darkroom: withUnit(median(ours), 'ms'), reference: withUnit(median(theirs), 'ms') };
  return { ...valueFigure(`added to the bare call, ${what}`, 'ms', added, { most: 8 }), ...shown };
}

async function uploadAndFetch(client: Client, { method, path, headers }: LoadRequest, body: Buffer): Promise<void> {
  const answer = await client.request({ method, path, headers, body });
  const { result } = taskSchema.parse(await answer.body.json());
  const picture = await client.request({ method: 'GET', path: result });
  if (picture.statusCode !== 200) throw new Error(`Expected 200 from ${result}, received ${picture.statusCode}`);
  await picture.body.arrayBuffer();
}
