import { Client, credentials, Metadata, type ServiceError, status } from '@grpc/grpc-js';
import { z } from 'zod';
import { IMAGE_PROCESSOR, loadProtos, serviceOf } from '../../server-a/protocols/grpc/protos.ts';
import { DarkroomError, isErrorCode } from '../../shared/errors.ts';

const responseSchema = z.object({ status: z.boolean(), path: z.string(), size: z.number() });

/** The answer of `service.ImageProcessor`. */
export type CircleResponse = z.infer<typeof responseSchema>;

type Method = ReturnType<typeof serviceOf>[string];

/** A client of the circle service. Throws DarkroomError with the server's own code and message. */
export class CircleClient {
  readonly #client: Client;
  readonly #method: Method;
  readonly #metadata = new Metadata();

  private constructor(address: string, method: Method, apiKey: string | undefined) {
    this.#client = new Client(address, credentials.createInsecure());
    this.#method = method;
    if (apiKey !== undefined) this.#metadata.set('authorization', `Bearer ${apiKey}`);
  }

  /** A client of the server at `address`, `host:port`. The first call opens the connection. */
  static async connect(address: string, apiKey: string | undefined): Promise<CircleClient> {
    const method = serviceOf(await loadProtos(), IMAGE_PROCESSOR)['ProcessImage'];
    if (method === undefined) throw new Error('Expected ProcessImage in service.proto');
    return new CircleClient(address, method, apiKey);
  }

  /**
   * Asks the server to cut a circle of `size` pixels out of the picture at `path`. The signal's abort cancels the call.
   */
  async processImage(request: { path: string; size: number }, signal: AbortSignal): Promise<CircleResponse> {
    const { path, requestSerialize, responseDeserialize } = this.#method;
    const response = await new Promise<unknown>((resolve, reject) => {
      const call = this.#client.makeUnaryRequest(
        path,
        requestSerialize,
        responseDeserialize,
        request,
        this.#metadata,
        (error, answer) => {
          signal.removeEventListener('abort', cancel);
          if (error === null) resolve(answer);
          else reject(toDarkroomError(error));
        },
      );
      const cancel = () => call.cancel();
      signal.addEventListener('abort', cancel, { once: true });
      if (signal.aborted) cancel();
    });
    return responseSchema.parse(response);
  }

  close(): void {
    this.#client.close();
  }
}

function toDarkroomError(error: ServiceError): DarkroomError {
  const code = String(error.metadata.get('darkroom-code')[0] ?? '');
  if (isErrorCode(code)) return new DarkroomError(code, error.details);
  const isAvailable = error.code !== status.UNAVAILABLE;
  const received = `${status[error.code]}: ${error.details}`;
  return new DarkroomError(
    isAvailable ? 'SOURCE_ERROR' : 'BACKEND_UNAVAILABLE',
    `Expected an answer of Darkroom's gRPC, received ${received}`,
  );
}
