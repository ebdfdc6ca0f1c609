// Labels the pictures at the URLs in a file, one URL on each line: node classify-urls.js urls.csv
import { readFileSync } from 'node:fs';
import { Request, Subscriber } from 'zeromq';

const { DARKROOM_ZEROMQ = 'tcp://127.0.0.1:5555', DARKROOM_ZEROMQ_PUB = 'tcp://127.0.0.1:5556' } = process.env;
const [file = 'urls.csv'] = process.argv.slice(2);
const urls = readFileSync(file, 'utf8')
  .split(/\s+/)
  .filter((word) => word.includes('://'));

const subscriber = new Subscriber();
subscriber.connect(DARKROOM_ZEROMQ_PUB);
subscriber.subscribe();

const requester = new Request();
requester.connect(DARKROOM_ZEROMQ);
await requester.send(JSON.stringify({ urls }));
const [reply] = await requester.receive();
const { status, num_urls, message } = JSON.parse(String(reply));
if (status !== 'received') throw new Error(message);

for (let count = 0; count < num_urls; count += 1) {
  const [frame] = await subscriber.receive();
  const result = JSON.parse(String(frame));
  console.log(`${result.url}  ${result.class ?? result.error}`);
}
subscriber.close();
requester.close();
