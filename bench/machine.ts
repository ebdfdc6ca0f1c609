import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { availableParallelism, cpus, loadavg, release, totalmem, type } from 'node:os';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import sharp from 'sharp';
import { z } from 'zod';
import type { Facts } from './report.ts';

const ROOT = new URL('../../', import.meta.url);
/** The packages of Darkroom and of its references that decide about speed. */
const PACKAGES = ['sharp', 'onnxruntime-node', 'piscina', 'koa', '@koa/multer', '@photostructure/sqlite'];

const packageSchema = z.object({ version: z.string() });

/** What this run is made on and with. */
export async function describeRun(command: string, rounds: number): Promise<Facts> {
  const versions = await Promise.all(PACKAGES.map(async (name) => `${name} ${await versionOf(name)}`));
  return {
    machine: `${availableParallelism()} × ${cpus()[0]?.model ?? 'unknown processor'}, ${gibibytes()} GiB, ${type()} ${release()}`,
    'load before': `${loadavg()[0]?.toFixed(1)} (of other programs; the figures mean most at 0)`,
    versions: [`Node ${process.versions.node}`, ...versions, `libvips ${sharp.versions.vips}`].join(', '),
    commit: await commit(),
    command: `\`${command}\``,
    rounds: String(rounds),
  };
}

function gibibytes(): number {
  return Math.round(totalmem() / 1024 ** 3);
}

async function versionOf(name: string): Promise<string> {
  const text = await readFile(new URL(`node_modules/${name}/package.json`, ROOT), 'utf8');
  return packageSchema.parse(JSON.parse(text)).version;
}

/** The commit, and whether the sources differ from it. */
async function commit(): Promise<string> {
  const git = async (...words: string[]) => {
    const { stdout } = await promisify(execFile)('git', words, { cwd: fileURLToPath(ROOT) });
    return stdout.trim();
  };
  try {
    const changes = await git('status', '--porcelain', '--', ':!docs/benchmarks.md');
    return `${await git('rev-parse', 'HEAD')}${changes === '' ? '' : ', with changes'}`;
  } catch {
    return 'unknown (not a git repository)';
  }
}
