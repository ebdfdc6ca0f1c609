import {
  type CallOptions,
  Client,
  type ClientDuplexStream,
  type ClientReadableStream,
  type ClientWritableStream,
  credentials,
  Metadata,
  type ServiceError,
} from '@grpc/grpc-js';
import type { PackageDefinition, ServiceDefinition } from '@grpc/proto-loader';
import { serviceOf } from '../../../../server-a/protocols/grpc/protos.ts';

type Method = ServiceDefinition[string];

/** A grpc-js client of one service, with metadata for every call. */
export class GrpcClient {
  readonly #client: Client;
  readonly #service: ServiceDefinition;
  readonly #metadata: Metadata;

  constructor(address: string, protos: PackageDefinition, service: string, headers: Record<string, string> = {}) {
    // grpc-js shares connections between clients unless each has its own pool, and tests break connections.
    this.#client = new Client(address, credentials.createInsecure(), { 'grpc.use_local_subchannel_pool': 1 });
    this.#service = serviceOf(protos, service);
    this.#metadata = Metadata.fromHttp2Headers(headers);
  }

  /** Sends one request and resolves with its answer; rejects with a ServiceError. */
  unary(name: string, request: object, options: CallOptions = {}): Promise<object> {
    const { path, requestSerialize, responseDeserialize } = this.#method(name);
    return new Promise((resolve, reject) => {
      this.#client.makeUnaryRequest(
        path,
        requestSerialize,
        responseDeserialize,
        request,
        this.#metadata,
        options,
        (error, answer) => (error ? reject(error) : resolve(answer ?? {})),
      );
    });
  }

  /** A stream of answers. */
  serverStream(name: string, request: object, options: CallOptions = {}): ClientReadableStream<object> {
    const { path, requestSerialize, responseDeserialize } = this.#method(name);
    return this.#client.makeServerStreamRequest(
      path,
      requestSerialize,
      responseDeserialize,
      request,
      this.#metadata,
      options,
    );
  }

  /** A stream of requests with its answer. */
  clientStream(
    name: string,
    options: CallOptions = {},
  ): { readonly call: ClientWritableStream<object>; readonly answer: Promise<object> } {
    const { path, requestSerialize, responseDeserialize } = this.#method(name);
    let settle: (error: ServiceError | null, answer: object | undefined) => void = () => undefined;
    const answer = new Promise<object>((resolve, reject) => {
      settle = (error, message) => (error ? reject(error) : resolve(message ?? {}));
    });
    const call = this.#client.makeClientStreamRequest(
      path,
      requestSerialize,
      responseDeserialize,
      this.#metadata,
      options,
      (error, message) => settle(error, message),
    );
    return { call, answer };
  }

  /** A stream of requests and a stream of answers. */
  bidi(name: string): ClientDuplexStream<object, object> {
    const { path, requestSerialize, responseDeserialize } = this.#method(name);
    return this.#client.makeBidiStreamRequest(path, requestSerialize, responseDeserialize, this.#metadata);
  }

  close(): void {
    this.#client.close();
  }

  #method(name: string): Method {
    const method = this.#service[name];
    if (method === undefined) throw new Error(`Expected a method ${name}`);
    return method;
  }
}

/** The status, details and `darkroom-code` of a failed call; status 0 for one that succeeds. */
export async function failureOf(call: Promise<unknown>): Promise<{ code: number; details: string; darkroom: string }> {
  try {
    await call;
    return { code: 0, details: '', darkroom: '' };
  } catch (error) {
    if (!isServiceError(error)) throw error;
    return { code: error.code, details: error.details, darkroom: String(error.metadata.get('darkroom-code')[0] ?? '') };
  }
}

/** All messages of a stream. */
export async function collect(stream: ClientReadableStream<object>): Promise<object[]> {
  const messages: object[] = [];
  for await (const message of stream) messages.push(message);
  return messages;
}

function isServiceError(error: unknown): error is ServiceError {
  return error instanceof Error && 'details' in error && 'metadata' in error;
}
