// Sends a picture to keep and gets it in another size: node keep-and-resize.js cat.jpg 200 100 small.png
import { readFileSync, writeFileSync } from 'node:fs';
import { Request } from 'zeromq';

const { DARKROOM_ZEROMQ = 'tcp://127.0.0.1:5555' } = process.env;
const [file = 'cat.jpg', width = '200', height = '100', output = 'small.png'] = process.argv.slice(2);

const requester = new Request();
requester.connect(DARKROOM_ZEROMQ);

async function ask(request: object) {
  await requester.send(JSON.stringify(request));
  const [reply] = await requester.receive();
  const answer = JSON.parse(String(reply));
  if (answer.status !== 'success') throw new Error(answer.message);
  return answer;
}

const { image_id } = await ask({ operation: 'upload', image_data: readFileSync(file).toString('base64') });
console.log(`kept as ${image_id}`);
const original = await ask({ operation: 'retrieve', image_id });
console.log(`${Buffer.from(original.image_data, 'base64').length} bytes come back`);
const resized = await ask({ operation: 'resize', image_id, width: Number(width), height: Number(height) });
writeFileSync(output, Buffer.from(resized.image_data, 'base64'));
console.log(`${width}×${height} pixels in ${output}`);
requester.close();
