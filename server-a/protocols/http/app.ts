import Router from '@koa/router';
import Koa from 'koa';
import { DarkroomError, invalid } from '../../../shared/errors.ts';
import type { Logger } from '../../../shared/log.ts';
import { abortOr, isCut } from '../../abort.ts';
import type { Presets } from '../../tasks/presets.ts';
import type { Tasks } from '../../tasks/tasks.ts';
import { apiKeyCheck, keysInHeaders } from '../api-keys.ts';
import { checkOrigin } from '../origin.ts';
import { answerProblem } from './answer/problem.ts';
import type { HttpContext, HttpRouter, HttpSettings, HttpState } from './http-context.ts';
import { routeProcess } from './routes/circle-by-path.ts';
import { routeClassify } from './routes/classify.ts';
import { HEALTH_PATHS, type Readiness, routeHealth } from './routes/health.ts';
import { routePresets } from './routes/presets.ts';
import { routeResult } from './routes/result.ts';
import { routeSnippets } from './routes/snippets.ts';
import { routeStatus } from './routes/status.ts';
import { routeUpload } from './routes/upload.ts';

/** Methods that change nothing, and whose answers browsers hide from pages of other hosts. */
const READING_METHODS: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS']);

export interface AppOptions {
  readonly tasks: Tasks;
  readonly presets: Presets;
  readonly settings: HttpSettings;
  readonly readiness: () => Readiness;
  readonly log: Logger;
}

/** The Koa application: every route, problems for all errors, and one log line for each request at level debug. */
export function createApp({ tasks, presets, settings, readiness, log }: AppOptions): Koa<HttpState> {
  const router: HttpRouter = new Router<HttpState>({ sensitive: true });
  routeHealth(router, readiness);
  routeUpload(router, { tasks, presets, settings });
  routePresets(router, presets);
  routeStatus(router, tasks);
  routeResult(router, tasks);
  routeClassify(router, tasks);
  routeProcess(router, tasks, settings);
  routeSnippets(router, tasks, settings);
  router.get('/events', () => {
    throw new DarkroomError('UPGRADE_REQUIRED', 'Expected a WebSocket handshake, received an ordinary request');
  });

  const checkApiKey = apiKeyCheck(settings.apiKeys, 'Authorization: Bearer or X-Api-Key');
  const app = new Koa<HttpState>({ env: 'production' });
  // Every waiting request has a listener for the CLOSING event.
  app.setMaxListeners(0);
  // Koa emits errors of connections, and of bodies that are being sent.
  app.on('error', (error: unknown, context: HttpContext) => {
    const line = { err: error, task_id: context.state.taskId, path: shownPath(context) };
    if (isCut(error)) log.debug(line, 'an HTTP client disconnected before the end of its answer');
    else log.error(line, 'an HTTP answer could not be sent whole');
  });
  app.use(async (context, next) => {
    observe(context, log);
    context.set('X-Content-Type-Options', 'nosniff');
    context.set('Cache-Control', 'no-store');
    try {
      const path = readPath(context);
      checkHost(context);
      if (!READING_METHODS.has(context.method)) checkOrigin(context.headers);
      if (!HEALTH_PATHS.includes(path)) checkApiKey(keysInHeaders(context.headers));
      await next();
    } catch (error) {
      const { signal } = context.state;
      const failure = abortOr(error, signal);
      // A client that has disconnected gets no answer, but an unexpected error is logged even then.
      if (!signal.aborted || failure !== signal.reason) answerProblem(context, failure, log);
    }
  });
  app.use(router.routes());
  app.use((context) => refuseUnrouted(context, router));
  return app;
}

/** Sets the request's signal, and logs the request when it ends. */
function observe(context: HttpContext, log: Logger): void {
  const started = performance.now();
  const disconnected = new AbortController();
  context.state.signal = disconnected.signal;
  context.res.once('close', () => {
    if (!context.res.writableFinished) disconnected.abort();
    const milliseconds = Math.round(performance.now() - started);
    const { method, status, state } = context;
    const finished = !disconnected.signal.aborted;
    const line = { method, path: shownPath(context), status, finished, milliseconds, task_id: state.taskId };
    log.debug(line, 'HTTP request ended');
  });
}

/** The path. Throws BAD_REQUEST for a target that is no URL, such as `http://[`, on which Koa's parser throws. */
function readPath(context: HttpContext): string {
  try {
    return context.path;
  } catch {
    throw invalid('a path or a URL', "the request's target", context.req.url);
  }
}

/**
 * Throws BAD_REQUEST for HTTP/1.1 without Host, and for two Host headers (RFC 9112, section 3.2), which a proxy may
 * read differently. Node itself would answer the first without a body, and use the first of two headers.
 */
function checkHost({ req }: HttpContext): void {
  const hosts = req.headersDistinct['host'] ?? [];
  const isMissing = hosts.length === 0 && req.httpVersion === '1.1';
  if (isMissing || hosts.length > 1) throw invalid('one', 'the Host header', hosts[0] && hosts.join(', '));
}

/**
 * Throws METHOD_NOT_ALLOWED for a known path, NOT_FOUND for an unknown one; answers OPTIONS with the path's methods.
 */
function refuseUnrouted(context: HttpContext, router: HttpRouter): void {
  const methods = router.match(context.path, context.method).path.flatMap((layer) => layer.methods);
  if (methods.length === 0) {
    throw new DarkroomError('NOT_FOUND', `Expected a known route, received '${shownPath(context)}'`);
  }
  const allowed = [...new Set([...methods, 'OPTIONS'])].join(', ');
  context.set('Allow', allowed);
  if (context.method === 'OPTIONS') context.status = 204;
  else throw new DarkroomError('METHOD_NOT_ALLOWED', `Expected one of ${allowed}, received ${context.method}`);
}

/** The path of the request, which may be invalid, truncated to 100 characters for logs and messages. */
function shownPath({ req }: HttpContext): string {
  return (req.url ?? '').replace(/[?#].*$/s, '').slice(0, 100);
}
