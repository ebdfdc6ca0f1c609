import { parse } from 'content-disposition';
import { invalid } from '../../../../shared/errors.ts';
import type { HttpContext } from '../http-context.ts';
import { asText, withoutFolders } from './part-head.ts';

/** The parameter of the query that names a picture that is the request's body. */
export const FILENAME_FIELD = 'filename';

/**
 * The client's name for a picture that is the request's body: `?filename=`, or that of Content-Disposition (RFC 6266),
 * or null. Throws BAD_REQUEST for two names in the query.
 */
export function rawFilename(context: HttpContext): string | null {
  const { [FILENAME_FIELD]: named = '' } = context.query;
  if (typeof named !== 'string') throw invalid('one value', FILENAME_FIELD, named);
  if (named.trim() !== '') return shown(named);
  const { filename = '' } = parse(asText(context.get('Content-Disposition'))).parameters;
  return shown(filename);
}

/** The name without folders and control characters; null when nothing is left. */
function shown(name: string): string | null {
  return withoutFolders(name).replace(/\p{Cc}/gu, '') || null;
}
