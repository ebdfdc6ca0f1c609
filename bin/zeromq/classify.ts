import { Subscriber } from 'zeromq';
import { z } from 'zod';
import { openConsole } from '../http/console.ts';
import { abortOnSignal } from '../signals.ts';
import type { ListSettings } from './config.ts';
import { readAnswer, receive, request, socketOptions, untilAborted } from './request.ts';
import { readUrlFile } from './url-file.ts';

/** The most URLs of one list; a longer file is sent as several lists. */
const MOST_URLS = 10_000;

const receivedSchema = z.object({ status: z.literal('received'), num_urls: z.int().nonnegative() });
const publicationSchema = z.union([
  z.object({ url: z.string(), class: z.string() }),
  z.object({ url: z.string(), error: z.string() }),
]);
type Publication = z.infer<typeof publicationSchema>;

/** Classifies the URLs of a CSV file, prints each result as it comes, and sets the exit code to 1 when any failed. */
export async function runClassify(file: string, asJson: boolean, settings: ListSettings): Promise<void> {
  const urls = await readUrlFile(file);
  const console = await openConsole(urls.length);
  try {
    await classifyUrls(urls, settings, abortOnSignal(), (publication) => {
      console.advance();
      const failure = 'error' in publication ? publication.error : null;
      if (failure !== null) process.exitCode = 1;
      if (asJson) console.line(JSON.stringify(publication));
      else if ('class' in publication) console.line(`${publication.url}  ${publication.class}`);
      else console.errorLine(`${publication.url}  ${failure}`);
    });
  } finally {
    console.close();
  }
}

/**
 * Subscribes, sends the list, and reports each message about one of its URLs, until every URL has had one. Messages about
 * other clients' lists are ignored. Throws like {@link request}.
 */
async function classifyUrls(
  urls: readonly string[],
  settings: ListSettings,
  signal: AbortSignal,
  report: (publication: Publication) => void,
): Promise<void> {
  const { zeromqPub, patience } = settings;
  const subscriber = new Subscriber(socketOptions(zeromqPub, patience));
  await untilAborted(subscriber, signal, async () => {
    subscriber.subscribe();
    subscriber.connect(zeromqPub);
    for (let start = 0; start < urls.length; start += MOST_URLS) {
      await request(settings, { urls: urls.slice(start, start + MOST_URLS) }, receivedSchema, signal);
    }
    const awaited = countEach(urls);
    while (awaited.size > 0) {
      const [frame] = await receive(() => subscriber.receive(), zeromqPub, patience);
      const publication = readAnswer(frame, publicationSchema);
      if (takeOne(awaited, publication.url)) report(publication);
    }
  });
}

function countEach(urls: readonly string[]): Map<string, number> {
  const counts = new Map<string, number>();
  for (const url of urls) counts.set(url, (counts.get(url) ?? 0) + 1);
  return counts;
}

/** Lowers the count of `url` by one; false when it is zero. */
function takeOne(counts: Map<string, number>, url: string): boolean {
  const count = counts.get(url);
  if (count === undefined) return false;
  if (count > 1) counts.set(url, count - 1);
  else counts.delete(url);
  return true;
}
