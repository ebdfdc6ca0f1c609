import { nanoid } from 'nanoid';
import { type Clock, SYSTEM_CLOCK } from '../shared/clock.ts';
import { type FileSystem, NODE_FILES } from '../shared/file-system.ts';

/** The system as tasks use it; tests replace parts of it. */
export interface System {
  readonly clock: Clock;
  /** A task id or the name of a temporary file: 21 characters that cannot be guessed. */
  readonly newId: () => string;
  readonly files: FileSystem;
}

export const SYSTEM: System = { clock: SYSTEM_CLOCK, newId: () => nanoid(), files: NODE_FILES };
