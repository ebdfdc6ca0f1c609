/** Routing ids a request may have come through; an answer repeats them all. */
const MOST_HOPS = 8;

/** A request as it came on a ROUTER socket. */
export interface Incoming {
  /** Names who asks: the connection it came on and, where that is a proxy's, every hop before it. */
  readonly client: string;
  /** What the answer begins with. */
  readonly envelope: readonly Buffer[];
  readonly body: readonly Buffer[];
}

/**
 * Takes a message apart as a REP socket does: everything up to the first empty frame, and that one, is the envelope (ZeroMQ
 * RFC 28, "Request-Reply"). Null for a message that a REP socket, too, would drop: no empty frame, or nothing after it.
 */
export function openEnvelope(frames: readonly Buffer[]): Incoming | null {
  const delimiter = frames.findIndex((frame, index) => index > 0 && frame.length === 0);
  if (delimiter === -1 || delimiter > MOST_HOPS) return null;
  const envelope = frames.slice(0, delimiter + 1);
  const body = frames.slice(delimiter + 1);
  return body.length === 0 ? null : { client: envelope.map((frame) => frame.toString('hex')).join(), envelope, body };
}
