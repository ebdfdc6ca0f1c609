import { ServerInterceptingCall, type ServerInterceptor } from '@grpc/grpc-js';

/**
 * Reads a stream's next request only when its answers so far have been taken: the reflection service answers without
 * looking whether the client reads, and would keep the answers of one that does not.
 */
export const paceReflection: ServerInterceptor = ({ path }, call) =>
  path.startsWith('/grpc.reflection.') ? new PacedCall(call) : new ServerInterceptingCall(call);

class PacedCall extends ServerInterceptingCall {
  #unsent = 0;
  #wantsRead = false;

  override sendMessage(message: unknown, callback: () => void): void {
    this.#unsent += 1;
    super.sendMessage(message, () => {
      this.#unsent -= 1;
      callback();
      if (this.#wantsRead) this.startRead();
    });
  }

  override startRead(): void {
    this.#wantsRead = this.#unsent > 0;
    if (!this.#wantsRead) super.startRead();
  }
}
