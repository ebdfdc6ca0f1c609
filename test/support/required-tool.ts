import { spawnSync } from 'node:child_process';

/** Why each program that was asked for does not work, by its command line; null when it does. */
const problems = new Map<string, string | null>();

/**
 * Skips the test when a program is missing or fails. Throws instead when the environment variable `variable` is 1.
 */
export function requireTool(context: Mocha.Context, words: readonly [string, ...string[]], variable: string): void {
  const line = words.join(' ');
  if (!problems.has(line)) problems.set(line, problemOf(words));
  const problem = problems.get(line) ?? null;
  if (problem === null) return;
  const reason = `Expected ${line} to work: ${problem}`;
  if (process.env[variable] === '1') throw new Error(reason);
  // mocha shows no reason for a pending test, but it shows the title.
  if (context.test !== undefined) context.test.title += ` (${reason})`;
  context.skip();
}

function problemOf([program, ...words]: readonly [string, ...string[]]): string | null {
  const { status, stderr, error } = spawnSync(program, words, { encoding: 'utf8' });
  return status === 0 ? null : (error?.message ?? stderr.trim().split('\n').at(-1) ?? '');
}
