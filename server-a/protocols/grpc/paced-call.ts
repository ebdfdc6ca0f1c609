import { ServerInterceptingCall, type ServerInterceptor } from '@grpc/grpc-js';

/**
 * Backpressure for the reflection service, which ignores it and would keep every answer that the client does not read:
 * the next request of a stream is read when all answers so far have been sent.
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
