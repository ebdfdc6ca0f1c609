import { repositoryPath } from './repository.ts';
import { type Ended, type RunningProgram, startProgram } from './run-program.ts';

export type { Ended, RunningProgram as Running } from './run-program.ts';

/** The folder and environment of a command; PATH is always in the environment. */
export interface Surroundings {
  readonly folder?: string;
  readonly environment?: Readonly<Record<string, string>>;
  /** True to make it the leader of a new process group, like a command in a shell. */
  readonly leadsGroup?: boolean;
}

/** Starts `darkroom …` as a process. */
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
