import { spawnSync } from 'node:child_process';

/**
 * Skips the test when a program is missing or fails. Throws instead when the environment variable `variable` is 1.
 */
export function requireTool(context: Mocha.Context, words: readonly [string, ...string[]], variable: string): void {
  const [program, ...rest] = words;
  const { status, stderr, error } = spawnSync(program, rest, { encoding: 'utf8' });
  if (status === 0) return;
  const reason = `Expected ${words.join(' ')} to work: ${error?.message ?? stderr.trim().split('\n').at(-1)}`;
  if (process.env[variable] === '1') throw new Error(reason);
  // mocha shows no reason for a pending test, but it shows the title.
  if (context.test !== undefined) context.test.title += ` (${reason})`;
  context.skip();
}
