import { DarkroomError } from '../../shared/errors.ts';
import { type OutputSpec, operationOf } from '../../shared/operations/index.ts';
import type { Client } from './client.ts';
import type { ClientSettings } from './config.ts';
import { type Console, openConsole } from './console.ts';
import { type Destination, planDestinations } from './destinations.ts';
import { formatOfExtension } from './formats.ts';
import { findInputs, type Input, type Inputs } from './inputs.ts';
import { mergeOutputs, readOutputFlags, readOutputsFile } from './output-flags.ts';
import { taskLine } from './task-line.ts';
import { type UploadReport, uploadAll } from './upload.ts';
import { withClient } from './with-client.ts';

/** The field of POST /upload that each flag sets. */
const FIELDS = {
  scale: 'scale_factor',
  width: 'width',
  height: 'height',
  fit: 'fit',
  gravity: 'gravity',
  background: 'background',
  rotate: 'rotate',
  flip: 'flip',
  flop: 'flop',
  blur: 'blur',
  sharpen: 'sharpen',
  format: 'format',
  quality: 'quality',
  grayscale: 'grayscale',
  lossless: 'lossless',
  circle: 'circle',
  classify: 'classify',
  topK: 'top_k',
} as const;
type FieldFlags = { readonly [Flag in keyof typeof FIELDS]?: string | boolean | undefined };

/** The flags of `darkroom upload`; the server checks the values of those that are fields. */
export interface UploadFlags extends FieldFlags {
  readonly outputs?: string;
  readonly preset?: string;
  readonly wait?: boolean;
  readonly output: readonly string[];
  readonly json?: boolean;
  readonly jobs: number;
}

/** The request that is the same for each upload. */
interface Wanted {
  /** The fields of POST /upload. */
  readonly query: URLSearchParams;
  /** Names of the outputs that are pictures, in order. */
  readonly pictures: readonly string[];
}

/** Uploads files and folders, prints a line for each, and sets the exit code to 1 when any failed. */
export async function runUpload(paths: readonly string[], flags: UploadFlags, settings: ClientSettings): Promise<void> {
  const inputs = await findInputs(paths);
  const { path, specs } = readOutputFlags(flags.output);
  const listed = mergeOutputs(specs, flags.outputs === undefined ? [] : await readOutputsFile(flags.outputs));
  await withClient(settings, async (client, signal) => {
    const presets = flags.preset === undefined || path === undefined ? [] : await findPresets(client, flags.preset);
    const wanted = wantedOf(flags, listed, presets);
    const destinations = await destinationsOf(inputs, path, wanted.pictures);
    const query = withFormat(wanted.query, destinations);
    const options = { query, wait: flags.wait === true, destinations, jobs: flags.jobs, signal };
    const console = await openConsole(inputs.files.length);
    try {
      await uploadAll(client, inputs.files, options, (report) => {
        console.advance();
        if (report.failure !== null) process.exitCode = 1;
        print(console, report, flags.json === true);
      });
    } finally {
      console.close();
    }
  });
}

/** The outputs of the named presets, to plan where they are saved. The server refuses unknown names. */
async function findPresets(client: Client, names: string): Promise<OutputSpec[]> {
  const presets = await client.presets();
  return names.split(',').flatMap((name) => presets[name.trim()] ?? []);
}

function wantedOf(flags: UploadFlags, listed: readonly OutputSpec[], presets: readonly OutputSpec[]): Wanted {
  const query = new URLSearchParams();
  if (listed.length === 0 && flags.preset === undefined) return flatWanted(flags, query);
  if (listed.length > 0) query.set('outputs', JSON.stringify(listed));
  if (flags.preset !== undefined) query.set('preset', flags.preset);
  // Flags that exclude a list are sent, too: the server refuses them with its own message.
  setFields(query, flags);
  const drawing = [...presets, ...listed].filter(({ operation }) => operationOf(operation).gives === 'picture');
  return { query, pictures: drawing.map(({ name }) => name) };
}

/** The server refuses a task without outputs, so without a picture `classify=true` is sent. */
function flatWanted(flags: UploadFlags, query: URLSearchParams): Wanted {
  const isResize = flags.scale !== undefined || flags.width !== undefined || flags.height !== undefined;
  const pictures = [...(isResize ? ['resize'] : []), ...(flags.circle === undefined ? [] : ['circle'])];
  setFields(query, { ...flags, classify: flags.classify ?? (pictures.length === 0 ? true : undefined) });
  return { query, pictures };
}

function setFields(query: URLSearchParams, flags: FieldFlags): void {
  for (const [flag, field] of Object.entries(FIELDS)) {
    const value = Reflect.get(flags, flag);
    if (value !== undefined) query.set(field, String(value));
  }
}

async function destinationsOf(
  inputs: Inputs,
  path: string | undefined,
  [first, ...others]: readonly string[],
): Promise<ReadonlyMap<Input, Destination>> {
  if (path === undefined) return new Map();
  if (first !== undefined) return planDestinations(inputs, path, others);
  const expected = 'Expected --scale, --width, --height, --circle or an output that is a picture with --output';
  throw new DarkroomError('BAD_REQUEST', `${expected}, received nothing that makes a picture`);
}

/** Adds the format that `-o small.webp` asks for, unless a flag or a list has formats. */
function withFormat(query: URLSearchParams, destinations: ReadonlyMap<Input, Destination>): URLSearchParams {
  const [destination] = destinations.values();
  const isGiven = ['format', 'outputs', 'preset'].some((field) => query.has(field));
  const format = destination?.extension === undefined || isGiven ? undefined : formatOfExtension(destination.extension);
  return format === undefined ? query : new URLSearchParams([...query, ['format', format]]);
}

function print(console: Console, { file, task, saved, failure }: UploadReport, asJson: boolean): void {
  if (asJson) {
    console.line(JSON.stringify({ file, task, saved, error: failure?.error ?? null }));
    return;
  }
  const shown = task === null ? [] : [taskLine(task)];
  const reason = failure === null || failure.isInTask ? [] : [`${failure.error.message} (${failure.error.code})`];
  const line = [file, ...shown, ...reason, ...saved].join('  ');
  if (failure === null) console.line(line);
  else console.errorLine(line);
}
