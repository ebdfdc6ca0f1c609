/** A listening protocol. */
export interface Protocol {
  /** Its line in the start message, such as `gRPC      127.0.0.1:50051`. */
  readonly line: string;
  /** Stops accepting, waits `graceMs` milliseconds for requests in progress, then closes their connections. */
  close(graceMs: number): Promise<void>;
}
