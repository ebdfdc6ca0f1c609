import { readdir, readFile } from 'node:fs/promises';
import { cpus } from 'node:os';
import { extname, join } from 'node:path';
import { parse } from 'csv-parse/sync';
import { Pool } from 'undici';
import { z } from 'zod';
import { classificationSchema } from '../shared/operations/classify.ts';
import { findModel } from './inputs.ts';
import { usageOf } from './processes.ts';
import { startService } from './service.ts';

/**
 * Counts how many pictures of a labelled set get a right label as the first one, and among the first five, from the real
 * service. Arguments: a folder, and optionally a CSV file with lines `file,labels`, where labels are indexes of the
 * model's outputs or WordNet ids, several of them with | between. Without a CSV file the folder holds one folder for each
 * class, named by its WordNet id, as ImageNet does. Without the model in ../shared, pass its path as the third argument.
 */
const AT_ONCE = 4;
const MEDIA_TYPES: Readonly<Record<string, string>> = {
  '.jpg': 'image/jpeg',
  '.jpeg': 'image/jpeg',
  '.png': 'image/png',
  '.webp': 'image/webp',
};

/** A picture, and the indexes or WordNet ids that are right. */
interface Labelled {
  readonly path: string;
  readonly right: ReadonlySet<string>;
}

const taskSchema = z.object({ status: z.string(), outputs: z.array(z.unknown()) });
const [folder, csv, modelPath = findModel()] = process.argv.slice(2);
if (folder === undefined || modelPath === null) {
  throw new Error('Expected a folder, a CSV file where the folder has no classes, and a model; received too few');
}
const pictures = csv === undefined || csv === '' ? await classFolders(folder) : await listed(folder, csv);
const service = await startService(['--model', modelPath]);
const pool = new Pool(service.url, { connections: AT_ONCE });
let first = 0;
let five = 0;
let failed = 0;
try {
  const queue = pictures.values();
  await Promise.all(
    Array.from({ length: AT_ONCE }, async () => {
      for (const picture of queue) await count(picture);
    }),
  );
  const cpu = (usageOf(service.serverB)?.cpuMs ?? Number.NaN) / pictures.length;
  const share = (found: number) => `${((100 * found) / pictures.length).toFixed(1)} %`;
  console.log(`${cpus()[0]?.model}, Node ${process.version}, ${pictures.length} pictures, ${failed} not labelled`);
  console.log(`top-1 ${share(first)}, top-5 ${share(five)}; ${cpu.toFixed(1)} ms CPU of Server B a picture`);
} finally {
  await pool.close();
  await service.close();
}

/** Adds one picture to the totals. */
async function count({ path, right }: Labelled): Promise<void> {
  const found = await labelsOf(path);
  if (found === null) {
    failed += 1;
    return;
  }
  const isRight = found.map(({ index, wnid }) => right.has(String(index)) || right.has(wnid));
  if (isRight[0]) first += 1;
  if (isRight.includes(true)) five += 1;
}

/** The five labels that the service gives; null when it gives none. */
async function labelsOf(path: string) {
  const query = new URLSearchParams({
    outputs: JSON.stringify([{ name: 'labels', operation: 'classify' }]),
    wait: '60',
  });
  const headers = { 'content-type': MEDIA_TYPES[extname(path).toLowerCase()] ?? 'image/jpeg' };
  const answer = await pool.request({
    path: `/upload?${query}`,
    method: 'POST',
    headers,
    body: await readFile(path),
  });
  const task = taskSchema.safeParse(await answer.body.json()).data;
  return classificationSchema.safeParse(task?.outputs[0]).data?.labels ?? null;
}

async function classFolders(parent: string): Promise<Labelled[]> {
  const found: Labelled[] = [];
  for (const wnid of await readdir(parent)) {
    for (const file of await readdir(join(parent, wnid))) {
      found.push({ path: join(parent, wnid, file), right: new Set([wnid]) });
    }
  }
  return found;
}

async function listed(parent: string, list: string): Promise<Labelled[]> {
  const rows = z.array(z.tuple([z.string(), z.string()])).parse(parse(await readFile(list, 'utf8')));
  return rows.map(([file, labels]) => ({ path: join(parent, file), right: new Set(labels.split('|')) }));
}
