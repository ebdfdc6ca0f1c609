// Sends a picture, watches the task and saves the result: node submit-and-watch.js cat.jpg half.jpg
import { createReadStream, createWriteStream } from 'node:fs';
import { basename } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { fileURLToPath } from 'node:url';
import { credentials, makeGenericClientConstructor } from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';

const { DARKROOM_GRPC = '127.0.0.1:50051' } = process.env;
const [file = 'cat.jpg', output = 'half.jpg'] = process.argv.slice(2);

const folder = fileURLToPath(new URL('../../../proto/', import.meta.url));
const options = { keepCase: true, longs: Number, enums: String, defaults: true, oneofs: true, includeDirs: [folder] };
const { 'darkroom.v1.Darkroom': service } = loadSync('darkroom/v1/darkroom.proto', options);
if (service === undefined || 'format' in service) throw new Error(`no Darkroom in ${folder}`);
const Darkroom = makeGenericClientConstructor(service, 'Darkroom');
const client = new Darkroom(DARKROOM_GRPC, credentials.createInsecure());

function method(name: string) {
  const found = client[name];
  if (found === undefined) throw new Error(`no method ${name} in ${folder}`);
  return found.bind(client);
}

async function* requests() {
  yield { options: { filename: basename(file), resize: { scale_factor: 0.5 }, classify: { top_k: 1 } } };
  for await (const chunk of createReadStream(file)) yield { chunk };
}

const submitted = await new Promise<{ task_id: string }>((resolve, reject) => {
  const call = method('Submit')((error: Error | null, task: { task_id: string }) =>
    error === null ? resolve(task) : reject(error),
  );
  // A refusal closes the stream early; the callback above gets the reason.
  pipeline(Readable.from(requests()), call).catch(() => undefined);
});

const { task_id } = submitted;
for await (const task of method('Watch')({ task_id })) {
  console.log(`${task_id}  ${task.status.replace('TASK_STATUS_', '').toLowerCase()}`);
  for (const { name, picture, labels, error } of task.outputs) {
    if (picture) console.log(`${name}  ${picture.width}×${picture.height}`);
    else console.log(`${name}  ${labels ? labels.labels[0].label : error.message}`);
  }
}

async function* chunks() {
  for await (const { chunk } of method('Result')({ task_id })) if (chunk) yield chunk;
}
await pipeline(chunks, createWriteStream(output));
console.log(`saved ${output}`);
client.close();
