import { runProgram } from '../../bin/program.ts';
import type { Surroundings } from './command-line.ts';
import { keepOutput } from './own-output.ts';
import { repositoryPath } from './repository.ts';
import type { Ended } from './run-program.ts';
import { Written } from './written.ts';

const SIGNALS = ['SIGINT', 'SIGTERM'] as const;

/**
 * Runs `darkroom …` to its end like {@link runDarkroom}, but in this process, which costs a hundredth. Its folder, its
 * environment and its exit code are the process's own, so only one command may run at a time. Commander ends the process
 * for help and for a wrong flag: run such a command with {@link runDarkroom}.
 */
export async function runCommand(words: readonly string[], surroundings: Surroundings = {}): Promise<Ended> {
  const { cwd, env, exitCode } = { cwd: process.cwd(), env: process.env, exitCode: process.exitCode };
  const listeners = SIGNALS.map((signal) => process.listeners(signal));
  const written = new Written();
  try {
    process.chdir(surroundings.folder ?? repositoryPath('.'));
    process.env = { PATH: env['PATH'], ...surroundings.environment };
    process.exitCode = undefined;
    await keepOutput(written, () => runProgram(words));
    return { code: Number(process.exitCode ?? 0), stdout: written.stdout, stderr: written.stderr };
  } finally {
    process.chdir(cwd);
    process.env = env;
    process.exitCode = exitCode;
    for (const [index, signal] of SIGNALS.entries()) removeOthers(signal, listeners[index] ?? []);
  }
}

/** A command listens for signals until its process ends. */
function removeOthers(signal: NodeJS.Signals, kept: readonly NodeJS.SignalsListener[]): void {
  for (const listener of process.listeners(signal)) if (!kept.includes(listener)) process.off(signal, listener);
}
