import { z } from 'zod';
import { invalid } from '../../../../shared/errors.ts';
import { DEFAULT_TOP_K } from '../../../../shared/operations/classify.ts';
import type { OutputSpec } from '../../../../shared/operations/index.ts';
import type { Tasks } from '../../../tasks/tasks.ts';
import { readUrlList } from '../../../tasks/url-list.ts';
import { readJson } from '../body/small-body.ts';
import type { HttpContext, HttpRouter } from '../http-context.ts';

/** Room for the longest list of ordinary URLs. */
const MOST_BYTES = 8 * 1024 * 1024;
const OUTPUTS: readonly OutputSpec[] = [{ name: 'classify', operation: 'classify', top_k: DEFAULT_TOP_K }];

const bodySchema = z.looseObject({});

/** `POST /classify`: each URL of a list becomes a task. */
export function routeClassify(router: HttpRouter, tasks: Tasks): void {
  router.post('/classify', async (context) => {
    const urls = await readUrls(context);
    const listed = await tasks.submitUrls(urls, OUTPUTS);
    context.status = 202;
    context.body = { status: 'received', num_urls: listed.length, tasks: listed };
  });
}

async function readUrls(context: HttpContext): Promise<string[]> {
  const body = await readJson(context, MOST_BYTES);
  const parsed = bodySchema.safeParse(body);
  if (!parsed.success) throw invalid('an object with urls', "the request's body", body);
  return readUrlList(parsed.data['urls']);
}
