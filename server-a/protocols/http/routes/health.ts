import type { HttpRouter } from '../http-context.ts';

/** How ready Darkroom is, part by part. */
export interface Readiness {
  /** `open`, or why tasks are not taken. */
  readonly store: string;
  /** Lanes that are up: jobs that can run at once. */
  readonly lanes: number;
  /** `up`, or why there is no lane. */
  readonly backend: string;
  /** The classifier's name, or `unavailable`; without it pictures are still resized. */
  readonly model: string;
}

/** Paths that need no key. */
export const HEALTH_PATHS: readonly string[] = ['/livez', '/readyz'];

/** `GET /livez`: the process answers. `GET /readyz`: a task sent now would be done; 503 otherwise. */
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
