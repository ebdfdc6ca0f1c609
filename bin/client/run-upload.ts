import { DarkroomError } from '../../shared/errors.ts';
import type { ClientSettings } from './config.ts';
import { type Console, openConsole } from './console.ts';
import { type Destination, planDestinations } from './destinations.ts';
import { formatOfExtension } from './formats.ts';
import { findInputs, type Input, type Inputs } from './inputs.ts';
import { taskLine } from './task-line.ts';
import { type UploadReport, uploadAll } from './upload.ts';
import { withClient } from './with-client.ts';

/** The flags of `darkroom upload`; the server checks the values of those that are fields. */
export interface UploadFlags {
  readonly scale?: string;
  readonly width?: string;
  readonly height?: string;
  readonly fit?: string;
  readonly format?: string;
  readonly quality?: string;
  readonly grayscale?: boolean;
  readonly circle?: string;
  readonly classify?: boolean;
  readonly topK?: string;
  readonly wait?: boolean;
  readonly output?: string;
  readonly json?: boolean;
  readonly jobs: number;
}

/** Uploads files and folders, prints a line for each, and sets the exit code to 1 when any failed. */
export async function runUpload(paths: readonly string[], flags: UploadFlags, settings: ClientSettings): Promise<void> {
  const inputs = await findInputs(paths);
  const destinations = await destinationsOf(inputs, flags);
  const query = queryOf(flags, destinations);
  await withClient(settings, async (client, signal) => {
    const options = { query, wait: flags.wait === true, destinations, jobs: flags.jobs, signal };
    const console = await openConsole(inputs.files.length);
    try {
      await uploadAll(client, inputs.files, options, (report) => {
        console.advance();
        if (report.error !== null) process.exitCode = 1;
        print(console, report, flags.json === true);
      });
    } finally {
      console.close();
    }
  });
}

function isResize(flags: UploadFlags): boolean {
  return flags.scale !== undefined || flags.width !== undefined || flags.height !== undefined;
}

async function destinationsOf(inputs: Inputs, flags: UploadFlags): Promise<ReadonlyMap<Input, Destination>> {
  if (flags.output === undefined) return new Map();
  const hasCircle = flags.circle !== undefined;
  if (!isResize(flags) && !hasCircle) {
    const expected = 'Expected --scale, --width, --height or --circle with --output';
    throw new DarkroomError('BAD_REQUEST', `${expected}, received nothing that makes a picture`);
  }
  return planDestinations(inputs, flags.output, isResize(flags) && hasCircle ? ['circle'] : []);
}

/** The fields of POST /upload. A task must have an operation: without any other it is the classification. */
function queryOf(flags: UploadFlags, destinations: ReadonlyMap<Input, Destination>): URLSearchParams {
  const isClassifyOnly = !isResize(flags) && flags.circle === undefined;
  const fields = {
    scale_factor: flags.scale,
    width: flags.width,
    height: flags.height,
    fit: flags.fit,
    format: flags.format ?? spelledFormat(destinations),
    quality: flags.quality,
    grayscale: flags.grayscale,
    circle: flags.circle,
    classify: flags.classify ?? (isClassifyOnly ? true : undefined),
    top_k: flags.topK,
  };
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(fields)) if (value !== undefined) query.set(name, String(value));
  return query;
}

/** The format that `-o small.webp` asks for. */
function spelledFormat(destinations: ReadonlyMap<Input, Destination>): string | undefined {
  const [destination] = destinations.values();
  return destination?.extension === undefined ? undefined : formatOfExtension(destination.extension);
}

function print(console: Console, report: UploadReport, asJson: boolean): void {
  const { file, task, saved, error } = report;
  if (asJson) {
    console.line(JSON.stringify(report));
  } else if (task === null) {
    console.errorLine(`${file}  ${error?.message} (${error?.code})`);
  } else {
    const isTold = error === null || error === task.error || task.outputs.some((output) => output.error === error);
    const line = [file, taskLine(task), ...(isTold ? [] : [`${error.message} (${error.code})`]), ...saved].join('  ');
    if (error === null) console.line(line);
    else console.errorLine(line);
  }
}
