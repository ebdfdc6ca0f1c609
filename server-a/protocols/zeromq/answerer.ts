import { DarkroomError } from '../../../shared/errors.ts';
import type { OutputSpec } from '../../../shared/operations/index.ts';
import type { Tasks } from '../../tasks/tasks.ts';
import { readUrlList } from '../../tasks/url-list.ts';
import { apiKeyCheck } from '../api-keys.ts';
import type { KeptPictures } from './kept-pictures.ts';
import { AUDIENCE, type Publisher } from './publisher.ts';
import type { Request } from './request.ts';
import type { Answerer } from './requests.ts';

const CLASSIFY: OutputSpec = { name: 'classify', operation: 'classify', top_k: 1 };

export interface AnswererOptions {
  readonly tasks: Pick<Tasks, 'submitUrls'>;
  readonly pictures: KeptPictures;
  /** Null when the server does not publish classes. */
  readonly publisher: Publisher | null;
  readonly apiKeys: readonly string[];
}

/**
 * Answers lists of URLs and requests for kept pictures on one socket (docs/zeromq.md): a request without `operation`
 * is a list. The answerer throws what `Tasks` throws, and UNAUTHENTICATED.
 */
export function createAnswerer({ tasks, pictures, publisher, apiKeys }: AnswererOptions): Answerer {
  const checkKey = apiKeyCheck(apiKeys, 'the member api_key');
  const operations = new Map<unknown, Answerer>([
    ['upload', (request) => pictures.upload(request)],
    ['retrieve', (request) => pictures.retrieve(request)],
    ['resize', (request) => pictures.resize(request)],
  ]);
  const list: Answerer = async (request) => {
    const urls = readUrlList(request['urls']);
    if (publisher === null) throw notPublishing();
    const { length } = await publisher.announce(() => tasks.submitUrls(urls, [CLASSIFY], AUDIENCE));
    return { status: 'received', num_urls: length };
  };
  return async (request) => {
    checkKey(keysOf(request));
    if (!Object.hasOwn(request, 'operation')) return list(request);
    const operation = operations.get(request['operation']);
    return operation === undefined ? { status: 'error', message: 'Invalid operation' } : operation(request);
  };
}

function keysOf({ api_key: key }: Request): string[] {
  return typeof key === 'string' ? [key] : [];
}

function notPublishing(): DarkroomError {
  const message = 'The server publishes no classes: it was started without --zeromq-pub-port.';
  return new DarkroomError('BACKEND_UNAVAILABLE', message);
}
