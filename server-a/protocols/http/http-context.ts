import type Router from '@koa/router';
import type Koa from 'koa';
import type { ServerASettings } from '../../config.ts';

/** The settings HTTP reads. */
export type HttpSettings = Pick<
  ServerASettings,
  'apiKeys' | 'maxUploadMb' | 'maxConnections' | 'requestSeconds' | 'pathRoot'
>;

/** Event of the application: the server closes, so that no request should wait any longer. */
export const CLOSING = 'closing';

/** What one request carries from middleware to middleware. */
export interface HttpState {
  /** Aborts when the connection closes before the answer is out. */
  signal: AbortSignal;
  /** The task this request is about, once it is known. */
  taskId?: string;
}

export type HttpContext = Koa.ParameterizedContext<HttpState>;
export type HttpRouter = Router<HttpState>;
