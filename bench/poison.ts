import { availableParallelism, cpus, loadavg } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import sharp from 'sharp';
import { Agent } from 'undici';
import { z } from 'zod';
import { type Service, startService } from './service.ts';

/**
 * Measures how much longer other tasks wait while one picture crashes each Server B that runs it: uploads arrive at a
 * steady rate, in rounds without and with such a picture. Run it by `npm run build && node dist/bench/poison.js`.
 */
const ROUNDS = Number(process.argv[2] ?? 3);
/** Tasks that are in flight when the picture comes, and tasks that arrive after it. */
const BEFORE = 20;
const AFTER = 200;
const PAUSE_MS = 40;
/** At a square of this side the killer operations abort their process (`test/support/killer-operations.ts`). */
const POISON_SIDE = 13;
const KILLERS = fileURLToPath(new URL('../test/support/killer-operations.js', import.meta.url));

const taskSchema = z.object({ status: z.string(), error: z.object({ code: z.string() }).nullable() });
const agent = new Agent({ connections: 512 });
let made = 0;

/** A picture whose bytes no other one has. */
function picture(width: number, height: number): Promise<Buffer> {
  made += 1;
  const background = { r: made % 256, g: (made >> 8) % 256, b: 90 };
  return sharp({ create: { width, height, channels: 3, background } })
    .png({ compressionLevel: 0 })
    .toBuffer();
}

/** Uploads a picture and waits for the end of its task. Resolves with the time that took, in milliseconds. */
async function upload({ url }: Service, body: Buffer): Promise<{ ms: number; task: z.infer<typeof taskSchema> }> {
  const startedAt = performance.now();
  const query = 'scale_factor=0.5&classify=false&wait=60';
  const headers = { 'content-type': 'image/png' };
  const answer = await agent.request({ origin: url, path: `/upload?${query}`, method: 'POST', headers, body });
  return { task: taskSchema.parse(await answer.body.json()), ms: performance.now() - startedAt };
}

async function uploadInnocent(service: Service, body: Buffer): Promise<number> {
  const { ms, task } = await upload(service, body);
  if (task.status !== 'completed') throw new Error(`Expected a completed task, received ${JSON.stringify(task)}`);
  return ms;
}

/** The longest wait of a round, in milliseconds, of a task that arrives after the picture. */
async function round(service: Service, poison: Buffer | null): Promise<number> {
  const bodies = await Promise.all(Array.from({ length: BEFORE + AFTER }, (_, index) => picture(400 + index, 300)));
  const inFlight = bodies.slice(0, BEFORE).map((body) => uploadInnocent(service, body));
  const poisoned = poison === null ? null : upload(service, poison);
  const arriving: Promise<number>[] = [];
  for (const body of bodies.slice(BEFORE)) {
    arriving.push(uploadInnocent(service, body));
    await sleep(PAUSE_MS);
  }
  const first = ordered(await Promise.all(inFlight));
  const times = ordered(await Promise.all(arriving));
  const end = await poisoned;
  if (end !== null && end.task.error?.code !== 'WORKER_CRASHED') {
    throw new Error(`Expected WORKER_CRASHED, received ${JSON.stringify(end.task)}`);
  }
  const label = end === null ? 'without' : 'with   ';
  const others = end === null ? '' : `; the picture itself ${end.ms.toFixed(0)}`;
  console.log(
    `${label}: median ${at(times, 0.5)}, 95 % ${at(times, 0.95)}, longest ${at(times, 1)}, in flight ${at(first, 1)}${others}`,
  );
  return times.at(-1) ?? Number.NaN;
}

function ordered(times: readonly number[]): number[] {
  return times.toSorted((one, other) => one - other);
}

function at(times: readonly number[], share: number): string {
  return (times[Math.floor(share * (times.length - 1))] ?? Number.NaN).toFixed(0);
}

process.env['DARKROOM_B_OPERATIONS_MODULE'] = KILLERS;
const service = await startService(['--no-model-fetch', '--log-level', 'silent']);
try {
  const machine = `${availableParallelism()} × ${cpus()[0]?.model}, Node ${process.version}, load ${loadavg()[0]?.toFixed(1)}`;
  console.log(
    `${machine}\n${BEFORE} tasks in flight and ${AFTER} that arrive every ${PAUSE_MS} ms; ms from upload to end`,
  );
  await round(service, null);
  for (let number = 0; number < ROUNDS; number += 1) {
    const without = await round(service, null);
    const crashing = await round(service, await picture(POISON_SIDE, POISON_SIDE));
    console.log(`the longest wait is ${(crashing - without).toFixed(0)} ms longer beside the picture`);
  }
} finally {
  await service.close();
  await agent.close();
}
