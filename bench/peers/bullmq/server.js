import multer from '@koa/multer';
import Router from '@koa/router';
import { Queue, QueueEvents } from 'bullmq';
import Koa from 'koa';

// Takes pictures over HTTP and answers when the worker has done the job. Arguments: port, folder, port of Redis.
const [port, folder, redisPort] = process.argv.slice(2);
const connection = { host: '127.0.0.1', port: Number(redisPort) };
const queue = new Queue('pictures', { connection });
const events = new QueueEvents('pictures', { connection });
await events.waitUntilReady();

const router = new Router();
router.post('/upload', multer({ dest: folder }).single('image'), async (context) => {
  const outputs = JSON.parse(context.request.body.outputs);
  const job = await queue.add('resize', { path: context.file.path, outputs });
  context.body = { status: 'completed', files: await job.waitUntilFinished(events) };
});
const app = new Koa();
app.use(router.routes());
app.listen(Number(port), '127.0.0.1', () => process.send('listening'));
process.on('disconnect', () => process.exit());
