import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
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
}

/** Where a command runs, and what its environment holds beside the path. */
export interface Surroundings {
  readonly folder?: string;
  readonly environment?: Readonly<Record<string, string>>;
}

/** Starts `darkroom …` as a process of its own. */
export function startDarkroom(words: readonly string[], surroundings: Surroundings = {}): Running {
  const child = spawn(process.execPath, [repositoryPath('dist/bin/darkroom.js'), ...words], {
    cwd: surroundings.folder ?? repositoryPath('.'),
    env: { PATH: process.env['PATH'], ...surroundings.environment },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const ended = Promise.all([once(child, 'exit'), text(child.stdout), text(child.stderr)]).then(
    ([[code, signal], stdout, stderr]): Ended => ({ code: code ?? signal, stdout, stderr }),
  );
  return { process: child, ended };
}

/** Runs `darkroom …` to its end. */
export function runDarkroom(words: readonly string[], surroundings: Surroundings = {}): Promise<Ended> {
  return startDarkroom(words, surroundings).ended;
}
