import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** The presets in the file of {@link usePresetsFile}. */
export const PRESETS = {
  avatar: [
    { name: 'small', operation: 'resize', width: 16, height: 16, fit: 'cover' },
    { name: 'round', operation: 'circle', size: 24 },
  ],
  blurry: [{ name: 'hash', operation: 'placeholder' }],
};

/** A file with {@link PRESETS} while the surrounding suite runs; gives its path. */
export function usePresetsFile(): () => string {
  let folder = '';
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'darkroom-presets-'));
    await writeFile(join(folder, 'presets.json'), JSON.stringify(PRESETS));
  });
  after(() => rm(folder, { recursive: true }));
  return () => join(folder, 'presets.json');
}
