import { fileURLToPath } from 'node:url';

/** Absolute path of something in the repository, such as `dist/bin/darkroom.js`. */
export function repositoryPath(path: string): string {
  return fileURLToPath(new URL(`../../../${path}`, import.meta.url));
}
