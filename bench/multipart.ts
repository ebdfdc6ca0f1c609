import { randomBytes } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

/** A form in a file, and the Content-Type with which it is sent. */
export interface FormFile {
  readonly file: string;
  readonly contentType: string;
}

/** Writes a form with text fields and the picture `image` (RFC 7578) to a new file in the folder. */
export async function writeForm(
  folder: string,
  picture: string,
  fields: Readonly<Record<string, string>>,
): Promise<FormFile> {
  const boundary = randomBytes(16).toString('hex');
  const part = (disposition: string) => `--${boundary}\r\nContent-Disposition: form-data; ${disposition}\r\n`;
  const texts = Object.entries(fields).map(([name, value]) => `${part(`name="${name}"`)}\r\n${value}\r\n`);
  const image = `${part('name="image"; filename="picture.jpg"')}Content-Type: image/jpeg\r\n\r\n`;
  const body = [Buffer.from(texts.join('') + image), await readFile(picture), Buffer.from(`\r\n--${boundary}--\r\n`)];
  const file = join(folder, `${boundary}.form`);
  await writeFile(file, Buffer.concat(body));
  return { file, contentType: `multipart/form-data; boundary=${boundary}` };
}
