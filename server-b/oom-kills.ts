import { readFileSync } from 'node:fs';
import { join, relative } from 'node:path';

/** Where Linux tells a process its control groups and where they are mounted; tests give a folder of their own. */
const PROC_SELF = '/proc/self';

/**
 * Counts the processes of this control group that the kernel has killed because memory ran out: `oom_kill` in
 * `memory.events` (cgroup v2) or in `memory.oom_control` (v1). Both count kills for the group's own limit and for the
 * whole machine. A child process is in the same group, unless somebody has moved it.
 *
 * Where there is no counter (not Linux, no memory controller, the root group of v2), it never rises: a SIGKILL then
 * counts as one from outside, whoever sent it.
 */
export class OomKills {
  readonly #counter: string | null;
  #seen: number;

  constructor(procSelf: string = PROC_SELF) {
    this.#counter = findCounter(procSelf);
    this.#seen = this.#read();
  }

  /** True when the counter has risen since the last call, or since the construction. */
  hasRisen(): boolean {
    const before = this.#seen;
    this.#seen = this.#read();
    return this.#seen > before;
  }

  #read(): number {
    const text = this.#counter === null ? '' : readText(this.#counter);
    return Number(/^oom_kill (\d+)$/m.exec(text)?.[1] ?? 0);
  }
}

/** The file with the counter; null without one. v1 first: where both are mounted, v1 may have the memory controller. */
function findCounter(procSelf: string): string | null {
  const groups = readText(join(procSelf, 'cgroup'));
  const mounts = readText(join(procSelf, 'mountinfo')).split('\n').flatMap(parseMount);
  const v1 = /^\d+:(?:[^:]*,)?memory(?:,[^:]*)?:(.*)$/m.exec(groups)?.[1];
  const v2 = /^0::(.*)$/m.exec(groups)?.[1];
  const files = [
    ...fileOf(
      v1,
      mounts.find(({ type, options }) => type === 'cgroup' && options.includes('memory')),
      'memory.oom_control',
    ),
    ...fileOf(
      v2,
      mounts.find(({ type }) => type === 'cgroup2'),
      'memory.events',
    ),
  ];
  return files.find((file) => /^oom_kill \d+$/m.test(readText(file))) ?? null;
}

/** A mounted file system of type `cgroup` or `cgroup2`. `root` is the group that the mount point shows. */
interface Mount {
  readonly root: string;
  readonly point: string;
  readonly type: string;
  readonly options: readonly string[];
}

/** Reads a line of mountinfo (proc_pid_mountinfo(5)): fields, a dash, then type, source and options. */
function parseMount(line: string): Mount[] {
  const [fields = '', rest = ''] = line.split(' - ');
  const [, , , root, point] = fields.split(' ');
  const [type = '', , options = ''] = rest.split(' ');
  if (root === undefined || point === undefined || !type.startsWith('cgroup')) return [];
  return [{ root, point, type, options: options.split(',') }];
}

function fileOf(group: string | undefined, mount: Mount | undefined, name: string): string[] {
  return group === undefined || mount === undefined ? [] : [join(mount.point, relative(mount.root, group), name)];
}

/** The text of a file; empty when it cannot be read. */
function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
