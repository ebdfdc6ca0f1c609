import type { Presets } from '../../../tasks/presets.ts';
import type { HttpRouter } from '../http-context.ts';

/** `GET /presets`: the operator's lists of outputs, by name. */
export function routePresets(router: HttpRouter, presets: Presets): void {
  router.get('/presets', (context) => {
    context.body = presets.toJSON();
  });
}
