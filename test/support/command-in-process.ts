import { runProgram } from '../../bin/program.ts';
import type { Surroundings } from './command-line.ts';
import { keepOutput } from './own-output.ts';
import { repositoryPath } from './repository.ts';
import type { Ended } from './run-program.ts';
import { Written } from './written.ts';

const SIGNALS = ['SIGINT', 'SIGTERM'] as const;

/**
 * Runs `darkroom …` to its end like {@link runDarkroom}, but in this process, which costs a hundredth. Its folder, its
 * environment and its exit code are the process's own, so only one command may run at a time. For help and for a wrong flag
 * commander ends the process: run such a command with {@link runDarkroom}.
 */
export async function runCommand(words: readonly string[], surroundings: Surroundings = {}): Promise<Ended> {
  const { env, exit, exitCode } = process;
  const folder = process.cwd();
  const listeners = SIGNALS.map((signal) => process.listeners(signal));
  const written = new Written();
  try {
    process.chdir(surroundings.folder ?? repositoryPath('.'));
    process.env = { PATH: env['PATH'], ...surroundings.environment };
    process.exitCode = undefined;
    process.exit = refuseExit;
    await keepOutput(written, () => runProgram(words));
    return { code: Number(process.exitCode ?? 0), stdout: written.stdout, stderr: written.stderr };
  } finally {
    process.chdir(folder);
    process.exit = exit;
    process.env = env;
    process.exitCode = exitCode;
    for (const [index, signal] of SIGNALS.entries()) removeOthers(signal, listeners[index] ?? []);
  }
}

/** A command listens for signals until its process ends. */
function removeOthers(signal: NodeJS.Signals, kept: readonly NodeJS.SignalsListener[]): void {
  for (const listener of process.listeners(signal)) if (!kept.includes(listener)) process.off(signal, listener);
}

/** Fails the command instead of ending the tests. */
function refuseExit(code: unknown): never {
  throw new Error(`Expected a command that does not end its process, received exit code ${code}`);
}
