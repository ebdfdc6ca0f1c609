import { fileURLToPath } from 'node:url';
import { type AnyDefinition, load, type PackageDefinition, type ServiceDefinition } from '@grpc/proto-loader';
import { protoPath as healthPath } from 'grpc-health-check';

/** Folder of the .proto files, relative to dist/server-a/protocols/grpc. */
const FOLDER = fileURLToPath(new URL('../../../../proto/', import.meta.url));

/** Full names of this server's services. */
export const IMAGE_PROCESSOR = 'service.ImageProcessor';
export const DARKROOM = 'darkroom.v1.Darkroom';
/** The standard health service (github.com/grpc/grpc, doc/health-checking.md). */
export const HEALTH = 'grpc.health.v1.Health';

/**
 * Reads the .proto files: every service and message by its full name. In messages, fields have the names of the .proto
 * file, enum values are names, 64-bit integers are numbers (all are far below 2^53), absent `optional` fields and
 * members of a oneof are left out, and other absent messages are null.
 */
export function loadProtos(): Promise<PackageDefinition> {
  const files = ['service.proto', 'darkroom/v1/darkroom.proto', healthPath];
  const options = { keepCase: true, longs: Number, enums: String, defaults: true, oneofs: true };
  return load(files, { ...options, includeDirs: [FOLDER] });
}

/** The service of that full name. Throws an Error when the .proto files have no such service. */
export function serviceOf(protos: PackageDefinition, name: string): ServiceDefinition {
  const definition = protos[name];
  if (definition === undefined || !isService(definition)) throw new Error(`The .proto files have no service ${name}.`);
  return definition;
}

function isService(definition: AnyDefinition): definition is ServiceDefinition {
  return !('format' in definition);
}
