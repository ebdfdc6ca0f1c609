import { nanoid } from 'nanoid';
import { type Clock, SYSTEM_CLOCK } from '../shared/clock.ts';
import { type FileSystem, NODE_FILES } from '../shared/file-system.ts';

/** What tasks take from the system. A test may give its own. */
export interface System {
  readonly clock: Clock;
  /** A new task id, or the name of a temporary file: 21 characters that nobody can guess. */
  readonly newId: () => string;
  readonly files: FileSystem;
}

export const SYSTEM: System = { clock: SYSTEM_CLOCK, newId: () => nanoid(), files: NODE_FILES };
