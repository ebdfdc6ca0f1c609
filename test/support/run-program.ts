import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { Written } from './written.ts';

/** The result of a program. */
export interface Ended {
  /** Its exit code, or the signal that ended it. */
  readonly code: number | NodeJS.Signals;
  readonly stdout: string;
  readonly stderr: string;
}

/** A running program. */
export interface RunningProgram {
  readonly process: ChildProcess;
  readonly ended: Promise<Ended>;
  /** Resolves with the match when standard output matches; rejects when the program ends without a match. */
  printed(pattern: RegExp): Promise<RegExpExecArray>;
}

/** The options for starting a program. */
export interface ProgramOptions {
  readonly folder: string;
  /** Its whole environment. */
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** True to make it the leader of a new process group, like a command in a shell. */
  readonly leadsGroup?: boolean;
}

/** Starts a program with no input. */
export function startProgram(
  program: string,
  words: readonly string[],
  { folder, environment, leadsGroup = false }: ProgramOptions,
): RunningProgram {
  const child = spawn(program, words, {
    cwd: folder,
    env: environment,
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: leadsGroup,
  });
  const written = new Written();
  child.stdout.setEncoding('utf8').on('data', (text: string) => written.add('stdout', text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => written.add('stderr', text));
  const ended = once(child, 'close').then(
    ([code, signal]): Ended => ({ code: code ?? signal, stdout: written.stdout, stderr: written.stderr }),
  );
  return { process: child, ended, printed: (pattern) => written.printed(pattern, ended) };
}
