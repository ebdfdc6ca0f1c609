/** The program of lane-end.test.ts and lane-trace.test.ts: one job between two lanes. It must exit by itself. */
import { MAX_DATA_BYTES } from '../../shared/wire/frame.ts';
import { LanePair } from './lane-pair.ts';

const body = Buffer.alloc(20 * MAX_DATA_BYTES);
const pair = await LanePair.open();
await pair.greet();
await pair.begin(body.length);
await Promise.all([pair.a.lane.sendData(body), pair.b.until(() => pair.b.lane.state === 'working')]);
pair.b.lane.send('DONE', { timings: {} });
await pair.a.hears('DONE');
pair.a.lane.end();
await pair.a.hears('closed');
console.log('a closed');
await pair.b.hears('closed');
console.log('b closed');
