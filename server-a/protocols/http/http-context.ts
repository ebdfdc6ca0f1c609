import type Router from '@koa/router';
import type Koa from 'koa';
import type { ServerASettings } from '../../config.ts';

/** The settings that HTTP uses. */
export type HttpSettings = Pick<
  ServerASettings,
  'apiKeys' | 'maxUploadMb' | 'maxConnections' | 'requestSeconds' | 'pathRoot'
>;

/** Event of the application: the server is closing, and requests should stop waiting. */
export const CLOSING = 'closing';

/** The state of one request. */
export interface HttpState {
  /** Aborts when the connection closes before the whole answer has been sent. */
  signal: AbortSignal;
  /** The request's task, once it is known; for logs and problems. */
  taskId?: string;
}

export type HttpContext = Koa.ParameterizedContext<HttpState>;
export type HttpRouter = Router<HttpState>;
