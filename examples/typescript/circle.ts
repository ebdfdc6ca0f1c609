// Cuts a circle out of a picture on the server's disk: node circle.js /pictures/cat.jpg 200
import { resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { credentials, makeGenericClientConstructor } from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';

const { DARKROOM_GRPC = '127.0.0.1:50051' } = process.env;
const [path = 'cat.jpg', size = '256'] = process.argv.slice(2);

const proto = fileURLToPath(new URL('../../../proto/service.proto', import.meta.url));
const { 'service.ImageProcessor': service } = loadSync(proto);
if (service === undefined || 'format' in service) throw new Error(`no ImageProcessor in ${proto}`);
const ImageProcessor = makeGenericClientConstructor(service, 'ImageProcessor');
const client = new ImageProcessor(DARKROOM_GRPC, credentials.createInsecure());

const request = { path: resolve(path), size: Number(size) };
client['ProcessImage']?.(request, (error: Error | null, answer: { status: boolean; path: string; size: number }) => {
  if (error !== null) console.error(error.message);
  else if (answer.status) console.log(`${answer.path} has ${answer.size}×${answer.size} pixels`);
  else console.error(answer.path === '' ? 'no such file' : 'no picture');
  process.exitCode = error === null && answer.status ? 0 : 1;
  client.close();
});
