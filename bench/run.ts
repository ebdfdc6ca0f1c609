import { rmSync } from 'node:fs';
import { mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { z } from 'zod';
import type { Bench, Case, Row } from './case.ts';
import { CASES } from './cases/index.ts';
import { findModel, Pictures } from './inputs.ts';
import { describeRun } from './machine.ts';
import { page, type Result, table } from './report.ts';
import { type Subjects, startSubjects } from './subjects/subjects.ts';

// Measures Darkroom, in turn with its references. Without names it runs every case and writes docs/benchmarks.md.

const PAGE = new URL('../../docs/benchmarks.md', import.meta.url);
const HELP = `npm run bench [-- CASE...] [--small] [--rounds N] [--tasks N]

Without CASE, runs all of them and writes docs/benchmarks.md.

  --small     each case once, with tiny counts; the figures mean nothing and nothing is written
  --rounds N  how often a case alternates between Darkroom and its references (default: 5)
  --tasks N   tasks of the case growth (default: 50000)

Cases:
${CASES.map(({ name, title }) => `  ${name.padEnd(14)}${title}`).join('\n')}`;

const number = z.coerce.number().int().positive();
const optionsSchema = z.object({
  help: z.boolean().default(false),
  small: z.boolean().default(false),
  rounds: number.default(5),
  tasks: number.default(50_000),
});

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    help: { type: 'boolean', short: 'h' },
    small: { type: 'boolean' },
    rounds: { type: 'string' },
    tasks: { type: 'string' },
  },
});
const options = optionsSchema.parse(values);
if (options.help) console.log(HELP);
else await main(positionals.length === 0 ? CASES : positionals.map(findCase));

function findCase(name: string): Case {
  const found = CASES.find((one) => one.name === name);
  if (found !== undefined) return found;
  const names = CASES.map((one) => one.name).join(', ');
  throw new Error(`Expected one of ${names}, received '${name}'`);
}

/** Runs the cases, prints the table, and writes the page when it is complete. */
async function main(cases: readonly Case[]): Promise<void> {
  const rounds = options.small ? 1 : options.rounds;
  const command = ['npm run bench', ...(process.argv.length > 2 ? ['--', ...process.argv.slice(2)] : [])].join(' ');
  const facts = await describeRun(command, rounds);
  const results = await runAll(cases, rounds);
  if (options.small) {
    console.log(`${results.length} of ${cases.length} cases ran`);
    return;
  }
  for (const [name, value] of Object.entries(facts)) console.log(`${name}: ${value}`);
  console.log(`\n${table(results)}`);
  if (cases === CASES && results.length === cases.length) await writeFile(PAGE, page(facts, results));
}

/** The results of all cases that did not fail; a failure is printed and makes the exit code 1. */
async function runAll(cases: readonly Case[], rounds: number): Promise<Result[]> {
  const folder = await mkdtemp(join(tmpdir(), 'darkroom-bench-'));
  // Also when it is interrupted: the folder may have a gigabyte.
  process.once('exit', () => rmSync(folder, { recursive: true, force: true }));
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(1));
  const { bench, close } = makeBench(folder, rounds);
  const results: Result[] = [];
  try {
    for (const { name, title, run } of cases) {
      console.error(`${name}: ${title}`);
      try {
        results.push({ name, title, rows: report(await run(bench)) });
      } catch (error) {
        console.error(`${name} failed:`, error);
        process.exitCode = 1;
      }
    }
  } finally {
    await close();
  }
  return results;
}

/** Shows the rows of a case as soon as it has ended. */
function report(rows: Row[]): Row[] {
  for (const row of rows) {
    if ('reason' in row) console.error(`  ${row.figure}: not run, ${row.reason}`);
    else console.error(`  ${row.figure}: ${row.value.toFixed(3)} ${row.unit}`);
  }
  return rows;
}

/** What the cases measure with, and the function that ends what they have started in common. */
function makeBench(folder: string, rounds: number): { bench: Bench; close: () => Promise<void> } {
  let started: Promise<Subjects> | null = null;
  const model = findModel();
  const bench: Bench = {
    isSmall: options.small,
    rounds,
    growthTasks: options.tasks,
    folder,
    pictures: new Pictures(folder),
    model,
    modelFlags: model === null ? ['--no-model-fetch'] : ['--model', model],
    count: (full, small) => (options.small ? small : full),
    subjects: () => {
      started ??= startSubjects(bench);
      return started;
    },
    say: (text) => console.error(`  ${text}`),
  };
  const close = async () => {
    const subjects = await started?.catch(() => null);
    await subjects?.close();
  };
  return { bench, close };
}
