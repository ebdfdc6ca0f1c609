/** The value of a JSON text (RFC 8259); undefined, which no JSON text means, for any other text. */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
