import { readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import sharp from 'sharp';
import { Classifier } from '../../server-b/operations/classifier.ts';
import { perform, readSource, type Source } from '../picture-work.ts';
import { type BareOrder, type BareReply, bareOrderSchema } from './bare-messages.ts';

// The picture work without a service: one process, pictures in memory, nothing stored. Argument: the classifier, or ''.

const [model = ''] = process.argv.slice(2);
const classifier =
  model === '' ? null : await Classifier.load({ onnx: model, synset: join(dirname(model), 'synset.txt') });
const sources = new Map<string, Source>();

sharp.cache(false);
sharp.concurrency(1);
process.on('message', (message) => {
  work(bareOrderSchema.parse(message)).then(reply, (error: unknown) =>
    reply({ kind: 'failed', message: String(error) }),
  );
});
process.on('disconnect', () => process.exit());

function reply(message: BareReply): void {
  process.send?.(message);
}

async function work({ tasks, count, atOnce }: BareOrder): Promise<BareReply> {
  for (const { picture } of tasks) await sourceOf(picture);
  let begun = 0;
  const worker = async () => {
    while (begun < count) {
      const task = tasks[begun % tasks.length];
      begun += 1;
      if (task === undefined) continue;
      const source = await sourceOf(task.picture);
      for (const spec of task.outputs) await perform(source, spec, classifier);
    }
  };
  const startedAt = performance.now();
  await Promise.all(Array.from({ length: atOnce }, worker));
  return { kind: 'done', seconds: (performance.now() - startedAt) / 1000 };
}

async function sourceOf(path: string): Promise<Source> {
  const known = sources.get(path);
  if (known !== undefined) return known;
  const source = await readSource(await readFile(path));
  sources.set(path, source);
  return source;
}
