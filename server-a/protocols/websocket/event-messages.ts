import { z } from 'zod';
import { invalid } from '../../../shared/errors.ts';

/** Ids in one message; as many as a connection may watch at once. */
export const MAX_SUBSCRIPTIONS = 256;

// What cannot be a task's id is an id that nobody knows: the answer says so for each.
const ids = z.array(z.string()).max(MAX_SUBSCRIPTIONS);
const requestSchema = z.union([z.strictObject({ subscribe: ids }), z.strictObject({ unsubscribe: ids })]);

/** What a client of /events asks for. */
export type EventRequest = z.infer<typeof requestSchema>;

/** Reads a client's text. Throws BAD_REQUEST. */
export function readEventRequest(text: string): EventRequest {
  const parsed = requestSchema.safeParse(parseJson(text));
  if (parsed.success) return parsed.data;
  const expected = `{"subscribe":[ids]} or {"unsubscribe":[ids]} with at most ${MAX_SUBSCRIPTIONS} task ids`;
  throw invalid(expected, 'the message', text);
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
