import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

/**
 * Runs a program of this folder, such as `lane-process`, with NODE_DEBUG set to the area given, and resolves with the
 * lines that it traces, without area and process id.
 */
export async function tracedLines(program: string, area: string): Promise<string[]> {
  const file = fileURLToPath(new URL(`./${program}.js`, import.meta.url));
  const options = { timeout: 15_000, env: { ...process.env, NODE_DEBUG: area } };
  const { stderr } = await promisify(execFile)(process.execPath, [file], options);
  const lines = stderr.trimEnd().split('\n');
  return lines.map((line) => line.replace(new RegExp(`^${area.toUpperCase()} \\d+: `), ''));
}
