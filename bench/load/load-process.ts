import { readFileSync } from 'node:fs';
import { Pool } from 'undici';
import { type LoadRequest, type Order, orderSchema, type Reply } from './messages.ts';

// Sends HTTP requests as its parent orders by IPC. A process of its own: neither its CPU nor its delays count as those of
// the service or of the benchmark.

type Run = Extract<Order, { kind: 'run' }>;

const bodies = new Map<string, Buffer>();
let isStopped = false;

process.on('message', (message) => {
  const order = orderSchema.parse(message);
  if (order.kind === 'stop') {
    isStopped = true;
    return;
  }
  isStopped = false;
  run(order).then(reply, (error: unknown) => reply({ kind: 'failed', message: String(error) }));
});
process.on('disconnect', () => process.exit());

function reply(message: Reply): void {
  process.send?.(message);
}

async function run({ origin, requests, count, atOnce }: Run): Promise<Reply> {
  const pool = new Pool(origin, { connections: atOnce });
  let [sent, answered] = [0, 0];
  const startedAt = performance.now();
  const worker = async () => {
    while (!isStopped && (count === null || sent < count)) {
      const request = requests[sent % requests.length];
      sent += 1;
      if (request !== undefined) await send(pool, request);
      answered += 1;
    }
  };
  try {
    await Promise.all(Array.from({ length: atOnce }, worker));
  } finally {
    isStopped = true;
    await pool.close();
  }
  return { kind: 'done', count: answered, seconds: (performance.now() - startedAt) / 1000 };
}

async function send(pool: Pool, { method, path, headers, bodyFile, expected, refused }: LoadRequest): Promise<void> {
  const body = bodyFile === null ? null : bodyOf(bodyFile);
  const answer = await pool.request({ method, path, headers, body });
  const text = await answer.body.text();
  const isExpected = expected.some((part) => text.includes(part)) && !refused.some((part) => text.includes(part));
  if (!isExpected) throw new Error(`Expected ${expected.join(' or ')} from ${path}, received ${text.slice(0, 500)}`);
}

function bodyOf(file: string): Buffer {
  const known = bodies.get(file);
  if (known !== undefined) return known;
  const body = readFileSync(file);
  bodies.set(file, body);
  return body;
}
