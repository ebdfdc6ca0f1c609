import { spawnSync } from 'node:child_process';

/**
 * Skips the test where a program is missing or fails; throws instead when the environment says by `variable` = 1 that it
 * must be there.
 */
export function requireTool(context: Mocha.Context, words: readonly [string, ...string[]], variable: string): void {
  const [program, ...rest] = words;
  const { status, stderr, error } = spawnSync(program, rest, { encoding: 'utf8' });
  if (status === 0) return;
  const reason = `Expected ${words.join(' ')} to work: ${error?.message ?? stderr.trim().split('\n').at(-1)}`;
  if (process.env[variable] === '1') throw new Error(reason);
  // mocha shows no reason for what is pending, but it shows the title.
  if (context.test !== undefined) context.test.title += ` (${reason})`;
  context.skip();
}
