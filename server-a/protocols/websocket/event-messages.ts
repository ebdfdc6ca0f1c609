import { z } from 'zod';
import { invalid } from '../../../shared/errors.ts';
import { parseJson } from '../../../shared/json.ts';

/** The most ids in one message, and the most tasks that a connection may watch at once. */
export const MAX_SUBSCRIPTIONS = 256;

// Any text is accepted as an id: an invalid id is answered like an unknown one, each by itself.
const ids = z.array(z.string()).max(MAX_SUBSCRIPTIONS);
const requestSchema = z.union([z.strictObject({ subscribe: ids }), z.strictObject({ unsubscribe: ids })]);

/** A message from a client of /events. */
export type EventRequest = z.infer<typeof requestSchema>;

/** Reads a client's message. Throws BAD_REQUEST. */
export function readEventRequest(text: string): EventRequest {
  const parsed = requestSchema.safeParse(parseJson(text));
  if (parsed.success) return parsed.data;
  const expected = `{"subscribe":[ids]} or {"unsubscribe":[ids]} with at most ${MAX_SUBSCRIPTIONS} task ids`;
  throw invalid(expected, 'the message', text);
}
