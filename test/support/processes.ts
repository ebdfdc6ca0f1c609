import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';

const run = promisify(execFile);
/** Linux says what runs in files (proc_pid_stat(5)); elsewhere `ps` must be started, which takes longer. */
const hasProc = process.platform === 'linux';

/** Ids of the running child processes of a process. */
export async function childrenOf(pid: number): Promise<number[]> {
  const children = hasProc ? await listed(pid) : await listedByPs(pid);
  const running = await Promise.all(children.map(isRunning));
  return children.filter((_, index) => running[index]);
}

/** True while a process runs; a zombie counts as ended. */
export async function isRunning(pid: number): Promise<boolean> {
  try {
    const state = hasProc ? await stateOf(pid) : (await run('ps', ['-o', 'stat=', '-p', String(pid)])).stdout.trim();
    return !state.startsWith('Z') && !state.startsWith('X');
  } catch {
    return false;
  }
}

/** The state of a process: the field after its name, which is in brackets. */
async function stateOf(pid: number): Promise<string> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8');
  return stat.slice(stat.lastIndexOf(')') + 2);
}

async function listed(pid: number): Promise<number[]> {
  const children = await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8').catch(() => '');
  return children.split(' ').filter(Boolean).map(Number);
}

async function listedByPs(pid: number): Promise<number[]> {
  const { stdout } = await run('ps', ['-A', '-o', 'pid=,ppid=']);
  return stdout.split('\n').flatMap((line) => {
    const [child = '', parent = ''] = line.trim().split(/\s+/);
    return Number(parent) === pid ? [Number(child)] : [];
  });
}

/** Calls `look` until it returns a value. Rejects after `seconds`, with `what` in the message. */
export async function eventually<Found>(
  what: string,
  look: () => Found | undefined | Promise<Found | undefined>,
  seconds = 55,
): Promise<Found> {
  const end = Date.now() + seconds * 1000;
  while (Date.now() < end) {
    const found = await look();
    if (found !== undefined) return found;
    await sleep(25);
  }
  throw new Error(`Expected ${what} within ${seconds} s, received nothing`);
}
