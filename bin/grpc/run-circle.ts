import { resolve } from 'node:path';
import { DarkroomError, type ErrorDescription, invalid } from '../../shared/errors.ts';
import type { GrpcClientSettings } from '../http/config.ts';
import { type Console, openConsole } from '../http/console.ts';
import { formatAddress, parseAddress } from '../serve/address.ts';
import { abortOnSignal } from '../signals.ts';
import { CircleClient, type CircleResponse } from './circle-client.ts';

/** The largest number an int32 holds. */
const MOST_PIXELS = 2 ** 31 - 1;

/** The result for one file: the service's answer, or why there is none. */
interface Report extends CircleResponse {
  readonly file: string;
  readonly error: ErrorDescription | null;
}

/** Sends one file after another, prints a line for each, and sets the exit code to 1 when any failed. */
export async function runCircle(
  files: readonly string[],
  flags: { readonly size: string; readonly json?: boolean },
  settings: GrpcClientSettings,
): Promise<void> {
  const size = readSize(flags.size);
  const address = formatAddress(parseAddress(settings.server, '--server'));
  const signal = abortOnSignal();
  const client = await CircleClient.connect(address, settings.apiKey);
  const console = await openConsole(files.length);
  try {
    for (const file of files) {
      const report = await cut(client, file, size, signal);
      console.advance();
      if (!report.status) process.exitCode = 1;
      if (flags.json === true) console.line(JSON.stringify(report));
      else print(console, report);
    }
  } finally {
    console.close();
    client.close();
  }
}

function readSize(text: string): number {
  const size = /^\d{1,10}$/.test(text) ? Number(text) : 0;
  if (size < 1 || size > MOST_PIXELS) throw invalid('a whole number of pixels', '--size', text);
  return size;
}

/** The report on one file. Throws when the server is not available, because the other files would fail, too. */
async function cut(client: CircleClient, file: string, size: number, signal: AbortSignal): Promise<Report> {
  try {
    const response = await client.processImage({ path: resolve(file), size }, signal);
    return { file, ...response, error: null };
  } catch (error) {
    if (signal.aborted) throw signal.reason;
    if (!(error instanceof DarkroomError) || error.code === 'BACKEND_UNAVAILABLE') throw error;
    return { file, status: false, path: '', size: 0, error: { code: error.code, message: error.message } };
  }
}

function print(console: Console, { file, status, path, size, error }: Report): void {
  if (status) console.line(`${file}  ${path}  ${size}×${size}`);
  else if (error !== null) console.errorLine(`${file}  ${error.message} (${error.code})`);
  else {
    const reason = path === '' ? 'is not on the server' : 'is not a picture that the server reads, or too large';
    console.errorLine(`${file}  ${reason}`);
  }
}
