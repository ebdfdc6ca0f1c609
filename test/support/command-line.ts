import { repositoryPath } from './repository.ts';
import { type Ended, type RunningProgram, startProgram } from './run-program.ts';

export type { Ended, RunningProgram as Running } from './run-program.ts';

/** Where a command runs, and what its environment holds beside the path. */
export interface Surroundings {
  readonly folder?: string;
  readonly environment?: Readonly<Record<string, string>>;
  /** At the head of a process group of its own, as a shell starts it. */
  readonly leadsGroup?: boolean;
}

/** Starts `darkroom …` as a process of its own. */
export function startDarkroom(words: readonly string[], surroundings: Surroundings = {}): RunningProgram {
  return startProgram(process.execPath, [repositoryPath('dist/bin/darkroom.js'), ...words], {
    folder: surroundings.folder ?? repositoryPath('.'),
    environment: { PATH: process.env['PATH'], ...surroundings.environment },
    leadsGroup: surroundings.leadsGroup ?? false,
  });
}

/** Runs `darkroom …` to its end. */
export function runDarkroom(words: readonly string[], surroundings: Surroundings = {}): Promise<Ended> {
  return startDarkroom(words, surroundings).ended;
}
