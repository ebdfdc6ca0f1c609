import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

const run = promisify(execFile);

/**
 * Skips the test, with the reason in its title, when curl is not installed; with DARKROOM_REQUIRE_SHARED=1 it throws.
 */
export async function requireCurl(context: Mocha.Context): Promise<void> {
  try {
    await run('curl', ['--version']);
  } catch {
    if (process.env['DARKROOM_REQUIRE_SHARED'] === '1') throw new Error('Expected curl on the path');
    if (context.test !== undefined) context.test.title += ' (curl is not installed)';
    context.skip();
  }
}

/** Runs a shell line in a folder. Resolves with its output, parsed as JSON; rejects with its standard error. */
export async function runLine(line: string, folder: string): Promise<unknown> {
  const { stdout } = await run('sh', ['-c', line], { cwd: folder });
  return JSON.parse(stdout);
}
