import { Server, ServerCredentials } from '@grpc/grpc-js';
import { ReflectionService } from '@grpc/reflection';
import { MEBIBYTE } from '../../../shared/limits.ts';
import type { Logger } from '../../../shared/log.ts';
import type { ServerASettings } from '../../config.ts';
import type { Presets } from '../../tasks/presets.ts';
import type { Tasks } from '../../tasks/tasks.ts';
import { requireApiKey } from './access.ts';
import { Calls } from './calls.ts';
import { darkroomService } from './darkroom.ts';
import { correctDescriptors } from './descriptors.ts';
import { healthService } from './health.ts';
import { imageProcessorService } from './image-processor.ts';
import type { GrpcConnections } from './listener.ts';
import { paceReflection } from './paced-call.ts';
import { DARKROOM, HEALTH, IMAGE_PROCESSOR, loadProtos, serviceOf } from './protos.ts';

/** A chunk of 4 MiB, gRPC's default limit for a message, and the few bytes around it. */
const MESSAGE_BYTES = 4 * MEBIBYTE + 1024;

/** Limits of a connection, by grpc-js's names. */
const CHANNEL_OPTIONS = {
  'grpc.max_receive_message_length': MESSAGE_BYTES,
  'grpc.max_send_message_length': MESSAGE_BYTES,
  'grpc.max_concurrent_streams': 100,
  // A dead connection is noticed after 40 s; one without a call for five minutes is closed.
  'grpc.keepalive_time_ms': 30_000,
  'grpc.keepalive_timeout_ms': 10_000,
  'grpc.max_connection_idle_ms': 300_000,
  // grpc-js would otherwise record every call for debugging, which nothing here reads.
  'grpc.enable_channelz': 0,
};

export interface GrpcOptions {
  readonly tasks: Tasks;
  readonly presets: Presets;
  readonly settings: Pick<
    ServerASettings,
    'ip' | 'grpcPort' | 'apiKeys' | 'pathRoot' | 'maxUploadMb' | 'maxConnections' | 'requestSeconds'
  >;
  /** The state for the health service. */
  readonly readiness: () => { readonly store: string; readonly lanes: number };
  readonly log: Logger;
}

/** All gRPC services on connections that are given to them. */
export async function openServices({
  tasks,
  presets,
  settings,
  readiness,
  log,
}: GrpcOptions): Promise<GrpcConnections> {
  const { apiKeys, pathRoot, maxUploadMb, maxConnections, requestSeconds } = settings;
  const protos = await loadProtos();
  const calls = new Calls({ maxOpen: maxConnections, requestMs: requestSeconds * 1000 }, log);
  const isReady = () => {
    const { store, lanes } = readiness();
    return store === 'open' && lanes > 0;
  };
  const server = new Server({ ...CHANNEL_OPTIONS, interceptors: [requireApiKey(apiKeys), paceReflection] });
  server.addService(serviceOf(protos, IMAGE_PROCESSOR), imageProcessorService(tasks, pathRoot, calls));
  server.addService(
    serviceOf(protos, DARKROOM),
    darkroomService({ tasks, presets, maxUploadBytes: maxUploadMb * MEBIBYTE }, calls),
  );
  server.addService(serviceOf(protos, HEALTH), healthService(isReady, calls));
  new ReflectionService(correctDescriptors(protos)).addToServer(server);
  const injector = server.createConnectionInjector(ServerCredentials.createInsecure());
  return {
    add: (socket) => injector.injectConnection(socket),
    close: () => {
      calls.close();
      server.tryShutdown(() => undefined);
    },
  };
}
