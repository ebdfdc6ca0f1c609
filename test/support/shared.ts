import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The folder with the real photographs and weights, `photos` and `models`, or null when it is missing. */
export function sharedFolder(): string | null {
  // This file runs in dist/test/support, three folders below the repository. The shared folder is next to the
  // repository.
  const beside = fileURLToPath(new URL('../../../../shared', import.meta.url));
  const folder = process.env['DARKROOM_SHARED'] ?? beside;
  return ['photos', 'models'].every((name) => existsSync(join(folder, name))) ? folder : null;
}

/** The shared folder. When it is missing, skips the test, or throws with DARKROOM_REQUIRE_SHARED=1. */
export function requireShared(context: Mocha.Context): string {
  const folder = sharedFolder();
  if (folder !== null) return folder;
  if (process.env['DARKROOM_REQUIRE_SHARED'] === '1') throw new Error('Expected the shared photographs and weights');
  return context.skip();
}
