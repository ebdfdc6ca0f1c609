import { readFile, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import multer from '@koa/multer';
import Router from '@koa/router';
import Koa from 'koa';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import sharp from 'sharp';
import { z } from 'zod';

// What people write in an afternoon: one process, the answer when the work is done, a decode for each output, no fsync.
// Arguments: port, folder for files, classifier or ''.
const [port = '0', folder = '.', model = ''] = process.argv.slice(2);
const session = model === '' ? null : await InferenceSession.create(model);
const outputSchema = z.object({ name: z.string(), scale_factor: z.number().optional(), width: z.number().optional() });
const bodySchema = z.object({ outputs: z.string(), labels: z.literal('true').optional() });
const requestSchema = z.object({ body: bodySchema, file: z.object({ path: z.string() }) });

async function resize(path: string, output: z.infer<typeof outputSchema>): Promise<string> {
  const { autoOrient } = await sharp(path).metadata();
  const width = output.width ?? Math.round(autoOrient.width * (output.scale_factor ?? 1));
  const target = `${path}-${output.name}.jpg`;
  await sharp(path).rotate().resize({ width }).jpeg().toFile(target);
  return target;
}

async function classify(path: string): Promise<number[]> {
  const pixels = await sharp(path).rotate().resize(224, 224).removeAlpha().toColourspace('srgb').raw().toBuffer();
  const input = new Float32Array(3 * 224 * 224);
  for (let pixel = 0; pixel < 224 * 224; pixel += 1) {
    input[pixel] = ((pixels[pixel * 3] ?? 0) / 255 - 0.485) / 0.229;
    input[pixel + 224 * 224] = ((pixels[pixel * 3 + 1] ?? 0) / 255 - 0.456) / 0.224;
    input[pixel + 2 * 224 * 224] = ((pixels[pixel * 3 + 2] ?? 0) / 255 - 0.406) / 0.225;
  }
  const result = await session?.run({ input: new Tensor('float32', input, [1, 3, 224, 224]) });
  const scores = Array.from(result?.['output']?.data ?? [], Number);
  return [...scores.keys()].sort((one, other) => (scores[other] ?? 0) - (scores[one] ?? 0)).slice(0, 5);
}

const synset = model === '' ? [] : (await readFile(join(model, '../synset.txt'), 'utf8')).split('\n');
const router = new Router();
router.get('/health', (context) => {
  context.body = 'ok';
});
router.post('/upload', multer({ dest: folder }).single('image'), async (context) => {
  const { body, file } = requestSchema.parse(context.request);
  const files: string[] = [];
  for (const output of z.array(outputSchema).parse(JSON.parse(body.outputs)))
    files.push(await resize(file.path, output));
  const labels = body.labels === undefined ? [] : (await classify(file.path)).map((index) => synset[index]);
  await unlink(file.path);
  context.body = { status: 'completed', files, labels };
});
const app = new Koa();
app.use(router.routes());
app.listen(Number(port), '127.0.0.1', () => process.send?.('listening'));
process.on('disconnect', () => process.exit());
