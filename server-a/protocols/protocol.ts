/** A listening protocol. */
export interface Protocol {
  /** Its lines in the start message, one for each address, such as `gRPC      127.0.0.1:50051`. */
  readonly lines: readonly string[];
  /** Stops accepting, waits `graceMs` milliseconds for requests in progress, then closes their connections. */
  close(graceMs: number): Promise<void>;
}
