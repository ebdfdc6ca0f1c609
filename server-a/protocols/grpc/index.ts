import type { Protocol } from '../protocol.ts';
import { Listener } from './listener.ts';
import type { GrpcOptions } from './service.ts';

/**
 * Serves gRPC; port 0 picks a free port. Throws the system's error, with code and port, when it cannot listen. The
 * libraries of gRPC are loaded for the first connection: they are a fifth of what Server A loads at its start.
 */
export async function startGrpc(options: GrpcOptions): Promise<Protocol> {
  const { settings, log } = options;
  const { ip: ips, grpcPort, maxConnections } = settings;
  const open = async () => (await import('./service.ts')).openServices(options);
  const listener = await Listener.listen(open, { ips, ports: [grpcPort], maxConnections, log });
  return {
    lines: listener.addresses.map((address) => `gRPC      ${address}`),
    close: (graceMs) => listener.close(graceMs),
  };
}
