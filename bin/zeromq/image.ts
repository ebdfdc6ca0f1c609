import { readFile } from 'node:fs/promises';
import { z } from 'zod';
import { DarkroomError, systemCode } from '../../shared/errors.ts';
import { type Console, openConsole } from '../http/console.ts';
import { saveFile } from '../save-file.ts';
import { abortOnSignal } from '../signals.ts';
import type { RequestSettings } from './config.ts';
import { request } from './request.ts';

const uploadedSchema = z.object({ status: z.literal('success'), image_id: z.string() });
const pictureSchema = z.object({ status: z.literal('success'), image_data: z.base64() });

/** Sends pictures that the server keeps, prints the id of each, and sets the exit code to 1 when any failed. */
export async function runImageUpload(
  files: readonly string[],
  asJson: boolean,
  settings: RequestSettings,
): Promise<void> {
  const signal = abortOnSignal();
  const console = await openConsole(files.length);
  try {
    for (const file of files) {
      await uploadOne(file, asJson, settings, { console, signal });
      console.advance();
    }
  } finally {
    console.close();
  }
}

/** Saves a kept picture: the bytes that were uploaded, or, with `size` in pixels, a PNG of exactly that size. */
export async function runImageSave(
  id: string,
  size: { readonly width: number; readonly height: number } | null,
  { output, json }: { readonly output: string; readonly json?: boolean },
  settings: RequestSettings,
): Promise<void> {
  const members =
    size === null ? { operation: 'retrieve', image_id: id } : { operation: 'resize', image_id: id, ...size };
  const picture = await request(settings, members, pictureSchema, abortOnSignal());
  const bytes = Buffer.from(picture.image_data, 'base64');
  await saveFile(output, [bytes]);
  const line = json === true ? JSON.stringify({ image_id: id, saved: output, bytes: bytes.length }) : output;
  process.stdout.write(`${line}\n`);
}

async function uploadOne(
  file: string,
  asJson: boolean,
  settings: RequestSettings,
  { console, signal }: { readonly console: Console; readonly signal: AbortSignal },
): Promise<void> {
  try {
    const image_data = (await readFile(file)).toString('base64');
    const { image_id } = await request(settings, { operation: 'upload', image_data }, uploadedSchema, signal);
    console.line(asJson ? JSON.stringify({ file, image_id, error: null }) : `${file}  ${image_id}`);
  } catch (error) {
    if (signal.aborted || !isExpected(error)) throw error;
    process.exitCode = 1;
    if (asJson) console.line(JSON.stringify({ file, image_id: null, error: error.message }));
    else console.errorLine(`${file}  ${error.message}`);
  }
}

function isExpected(error: unknown): error is Error {
  return error instanceof DarkroomError || systemCode(error) !== undefined;
}
