import type { EndedInstance } from '../shared/wire/messages.ts';

/** How the process of an instance ended. */
export interface InstanceEnd {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  /** A worker was still busy after its deadline, so the instance ended itself. */
  readonly isStuck: boolean;
  /** The supervisor killed it: it sent no heartbeat, or it did not end in time. */
  readonly isKilledBySupervisor: boolean;
}

/** Signals that the kernel or a library raises for what the process itself did. */
const FAULTS: ReadonlySet<NodeJS.Signals> = new Set([
  'SIGSEGV',
  'SIGABRT',
  'SIGBUS',
  'SIGILL',
  // A division by zero, a trap that a compiler or V8 puts where code must not go on, a forbidden system call.
  'SIGFPE',
  'SIGTRAP',
  'SIGSYS',
]);

/**
 * `crashed` when a job can have caused the end: a fault, an exit of the process itself, a stuck worker, or the kernel's
 * SIGKILL for memory, which `isOutOfMemory` tells from every other SIGKILL. All else is `killed`, from outside.
 */
export function causeOf(end: InstanceEnd, isOutOfMemory: () => boolean): EndedInstance['cause'] {
  if (end.isStuck) return 'crashed';
  if (end.isKilledBySupervisor) return 'killed';
  if (end.signal === null) return 'crashed';
  if (end.signal === 'SIGKILL') return isOutOfMemory() ? 'crashed' : 'killed';
  return FAULTS.has(end.signal) ? 'crashed' : 'killed';
}
