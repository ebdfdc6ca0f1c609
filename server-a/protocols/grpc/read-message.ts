import type { z } from 'zod';
import { invalid } from '../../../shared/errors.ts';

/** Reads a message by a schema. Throws BAD_REQUEST that names the first invalid field. */
export function readMessage<Schema extends z.ZodType>(schema: Schema, message: unknown): z.infer<Schema> {
  const parsed = schema.safeParse(message);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  const path = issue?.path ?? [];
  const name = path.length === 0 ? 'the message' : path.join('.');
  throw invalid(expectation(issue?.message ?? 'another message'), name, valueAt(message, path));
}

/** "Too big: expected number to be <=10" → "number to be <=10". */
function expectation(message: string): string {
  return /expected (.+?)(?:, received .*)?$/.exec(message)?.[1] ?? message;
}

function valueAt(message: unknown, path: readonly PropertyKey[]): unknown {
  return path.reduce<unknown>(
    (value, key) => (typeof value === 'object' && value !== null ? Reflect.get(value, key) : undefined),
    message,
  );
}
