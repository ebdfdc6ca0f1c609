import { readdirSync, readFileSync } from 'node:fs';

/** Resources that a process has used so far. */
export interface Usage {
  /** User and system time, in milliseconds. */
  readonly cpuMs: number;
  /** Resident memory now, in MiB. */
  readonly residentMib: number;
  /** Largest resident memory so far, in MiB. */
  readonly peakMib: number;
}

/** Clock ticks a second of /proc/<pid>/stat (sysconf(_SC_CLK_TCK), 100 on every Linux that Node runs on). */
const TICKS_PER_SECOND = 100;

/** CPU time and memory of a running process, from Linux's /proc (proc_pid_stat(5)); null on other systems. */
export function usageOf(pid: number): Usage | null {
  if (process.platform !== 'linux') return null;
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  // The second field is the name in brackets and may hold spaces; utime and stime are fields 14 and 15.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const ticks = Number(fields[11]) + Number(fields[12]);
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  const mebibytes = (name: string) => Number(new RegExp(`^${name}:\\s+(\\d+) kB$`, 'm').exec(status)?.[1]) / 1024;
  const cpuMs = (ticks * 1000) / TICKS_PER_SECOND;
  return { cpuMs, residentMib: mebibytes('VmRSS'), peakMib: mebibytes('VmHWM') };
}

/** Process ids of a process's children; empty on systems without /proc. */
export function childrenOf(pid: number): number[] {
  if (process.platform !== 'linux') return [];
  return readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ').filter(Boolean).map(Number);
}

/** A process and all that it has started, with theirs. */
export function treeOf(pid: number): number[] {
  return [pid, ...childrenOf(pid).flatMap(treeOf)];
}

/** Milliseconds of CPU that processes have used so far; NaN on systems without /proc. */
export function cpuOf(pids: readonly number[]): number {
  return pids.reduce((sum, pid) => sum + (usageOf(pid)?.cpuMs ?? Number.NaN), 0);
}

/**
 * The same in nanosecond steps instead of ticks of 10 ms, for processes that do almost nothing. Threads that have ended
 * are not counted (Linux's Documentation/scheduler/sched-stats.rst). NaN on systems without it.
 */
export function fineCpuOf(pids: readonly number[]): number {
  if (process.platform !== 'linux') return Number.NaN;
  const files = pids.flatMap((pid) =>
    readdirSync(`/proc/${pid}/task`).map((thread) => `/proc/${pid}/task/${thread}/schedstat`),
  );
  return files.reduce((sum, file) => sum + Number(readFileSync(file, 'utf8').split(' ')[0]) / 1e6, 0);
}
