/** A protocol that listens. */
export interface Protocol {
  /** What the greeting says of it, such as `gRPC      127.0.0.1:50051`. */
  readonly line: string;
  /** Stops accepting, lets what is under way finish for `graceMs` milliseconds, then cuts it off. */
  close(graceMs: number): Promise<void>;
}
