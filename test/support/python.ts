import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

const run = promisify(execFile);

/**
 * A Python that can import the modules (DARKROOM_PYTHON, else python3). Without one it skips the test, or throws with
 * DARKROOM_REQUIRE_PYTHON=1.
 */
export async function requirePython(context: Mocha.Context, ...modules: readonly string[]): Promise<string> {
  const python = process.env['DARKROOM_PYTHON'] ?? 'python3';
  try {
    await run(python, ['-c', `import ${modules.join(', ')}`]);
    return python;
  } catch (error) {
    if (process.env['DARKROOM_REQUIRE_PYTHON'] === '1') throw error;
    return context.skip();
  }
}
