import type { HttpRouter } from '../http-context.ts';

/** The state of each part of the service. */
export interface Readiness {
  /** `open`, or why the server accepts no tasks. */
  readonly store: string;
  /** Number of lanes that are up: of jobs that can run at once. */
  readonly lanes: number;
  /** `up`, or why there is no lane. */
  readonly backend: string;
  /** The classifier's name, or `unavailable`; without it pictures are still resized. */
  readonly model: string;
}

/** Paths that need no key. */
export const HEALTH_PATHS: readonly string[] = ['/livez', '/readyz'];

/** `GET /livez`: the process runs. `GET /readyz`: 200 while tasks are accepted and can be processed, otherwise 503. */
export function routeHealth(router: HttpRouter, readiness: () => Readiness): void {
  router.get('/livez', (context) => {
    context.body = { status: 'live' };
  });

  router.get('/readyz', (context) => {
    const parts = readiness();
    const ready = parts.store === 'open' && parts.lanes > 0;
    context.status = ready ? 200 : 503;
    context.body = { status: ready ? 'ready' : 'unavailable', ...parts };
  });
}
