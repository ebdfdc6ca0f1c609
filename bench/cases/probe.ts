import { readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client } from 'undici';
import type { LoadRequest } from '../load/messages.ts';

/** Milliseconds that something takes. */
export async function timed(work: () => Promise<void>): Promise<number> {
  const startedAt = performance.now();
  await work();
  return performance.now() - startedAt;
}

/** The bytes that a request sends. */
export async function bodyOf({ bodyFile }: LoadRequest): Promise<Buffer> {
  return bodyFile === null ? Buffer.alloc(0) : readFile(bodyFile);
}

/** How requests are sent one at a time. */
export interface Probing {
  readonly count: number;
  /** Between an answer and the next request, in milliseconds. */
  readonly pauseMs: number;
  /** The status of each answer. */
  readonly status: number;
}

/** Sends the request again and again on one connection. Resolves with the milliseconds that each took. */
export async function probe(
  origin: string,
  { method, path, headers, bodyFile }: LoadRequest,
  { count, pauseMs, status }: Probing,
): Promise<number[]> {
  const client = new Client(origin);
  const body = bodyFile === null ? null : await readFile(bodyFile);
  const times: number[] = [];
  try {
    for (let sent = 0; sent < count; sent += 1) {
      await sleep(pauseMs);
      times.push(
        await timed(async () => {
          const answer = await client.request({ method, path, headers, body });
          const text = await answer.body.text();
          if (answer.statusCode !== status)
            throw new Error(`Expected ${status}, received ${answer.statusCode} ${text}`);
        }),
      );
    }
  } finally {
    await client.close();
  }
  return times;
}

/** A GET request. */
export function get(path: string): LoadRequest {
  return { method: 'GET', path, headers: {}, bodyFile: null, expected: [''], refused: [] };
}
