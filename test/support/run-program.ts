import { type ChildProcess, spawn } from 'node:child_process';
import { EventEmitter, once } from 'node:events';

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
  let stdout = '';
  let stderr = '';
  const printed = new EventEmitter();
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
    printed.emit('more');
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  const ended = once(child, 'close').then(([code, signal]): Ended => ({ code: code ?? signal, stdout, stderr }));
  return {
    process: child,
    ended,
    printed: async (pattern) => {
      for (;;) {
        const match = pattern.exec(stdout);
        if (match !== null) return match;
        const isEnded = await Promise.race([ended.then(() => true), once(printed, 'more').then(() => false)]);
        if (isEnded) throw new Error(`Expected ${pattern} on standard output, received '${stdout}' and '${stderr}'`);
      }
    },
  };
}
