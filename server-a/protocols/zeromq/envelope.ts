/** The most routing ids in an envelope; the answer repeats them all. */
const MOST_HOPS = 8;

/** A request from a ROUTER socket. */
export interface Incoming {
  /** Identifies the client: its connection and, behind a proxy, every hop before it. */
  readonly client: string;
  /** The first frames of the answer. */
  readonly envelope: readonly Buffer[];
  readonly body: readonly Buffer[];
}

/**
 * Splits a message like a REP socket: the envelope ends with the first empty frame (ZeroMQ RFC 28, "Request-Reply").
 * Null for a message that a REP socket would drop: it has no empty frame, or nothing after it.
 */
export function openEnvelope(frames: readonly Buffer[]): Incoming | null {
  const delimiter = frames.findIndex((frame, index) => index > 0 && frame.length === 0);
  if (delimiter === -1 || delimiter > MOST_HOPS) return null;
  const envelope = frames.slice(0, delimiter + 1);
  const body = frames.slice(delimiter + 1);
  return body.length === 0 ? null : { client: envelope.map((frame) => frame.toString('hex')).join(), envelope, body };
}
