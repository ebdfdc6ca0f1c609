import { type ChildProcess, spawn } from 'node:child_process';
import { EventEmitter, once } from 'node:events';
import { repositoryPath } from './repository.ts';

/** How a `darkroom` command ended. */
export interface Ended {
  /** Its exit code, or the signal that ended it. */
  readonly code: number | NodeJS.Signals;
  readonly stdout: string;
  readonly stderr: string;
}

/** A `darkroom` command under way. */
export interface Running {
  readonly process: ChildProcess;
  readonly ended: Promise<Ended>;
  /** Resolves with the match when standard output has what the pattern asks for; rejects when it ends without. */
  printed(pattern: RegExp): Promise<RegExpExecArray>;
}

/** Where a command runs, and what its environment holds beside the path. */
export interface Surroundings {
  readonly folder?: string;
  readonly environment?: Readonly<Record<string, string>>;
  /** At the head of a process group of its own, as a shell starts it. */
  readonly leadsGroup?: boolean;
}

/** Starts `darkroom …` as a process of its own. */
export function startDarkroom(words: readonly string[], surroundings: Surroundings = {}): Running {
  const child = spawn(process.execPath, [repositoryPath('dist/bin/darkroom.js'), ...words], {
    cwd: surroundings.folder ?? repositoryPath('.'),
    env: { PATH: process.env['PATH'], ...surroundings.environment },
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: surroundings.leadsGroup ?? false,
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

/** Runs `darkroom …` to its end. */
export function runDarkroom(words: readonly string[], surroundings: Surroundings = {}): Promise<Ended> {
  return startDarkroom(words, surroundings).ended;
}
