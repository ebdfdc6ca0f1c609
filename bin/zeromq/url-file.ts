import { readFile } from 'node:fs/promises';
import { parse } from 'csv-parse/sync';
import { z } from 'zod';
import { invalid, systemCode } from '../../shared/errors.ts';

const rowsSchema = z.array(z.array(z.string()));

/**
 * The URLs in the first column of a CSV file, one for each line. A first line without dot, slash and colon is a header.
 * Throws BAD_REQUEST for a file that cannot be read, is not CSV, or has no URL.
 */
export async function readUrlFile(path: string): Promise<string[]> {
  const urls = firstColumn(await readText(path), path);
  const [first = ''] = urls;
  const listed = /[./:]/.test(first) ? urls : urls.slice(1);
  if (listed.length === 0) throw invalid('a CSV file with one URL a line', 'classify', path);
  return listed;
}

function firstColumn(text: string, path: string): string[] {
  try {
    const rows = rowsSchema.parse(
      parse(text, { bom: true, trim: true, relax_column_count: true, skip_empty_lines: true }),
    );
    return rows.flatMap(([cell = '']) => (cell === '' ? [] : [cell]));
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw invalid(`a CSV file (${reason})`, 'classify', path);
  }
}

async function readText(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    const reason = systemCode(error);
    if (reason === undefined) throw error;
    throw invalid(`a file (${reason})`, 'classify', path);
  }
}
