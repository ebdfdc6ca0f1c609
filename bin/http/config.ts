import type { Command } from 'commander';
import { z } from 'zod';
import { optionalText, resolveSettings } from '../../shared/config.ts';
import { addSettings, readEnvironment } from '../settings.ts';

/** Prefix of the client commands' environment variables. */
export const CLIENT_PREFIX = 'DARKROOM_';

/** Settings of every client command. */
export const clientSettings = z.object({
  server: z
    .string()
    .default('http://127.0.0.1:5454')
    .transform((text) => (text.includes('://') ? text : `http://${text}`))
    .pipe(z.url({ protocol: /^https?$/ }))
    .meta({ group: 'Server' })
    .describe('address of Server A'),
  apiKey: optionalText.meta({ group: 'Server' }).describe('API key, if Server A requires one'),
  patience: z.coerce
    .number()
    .nonnegative()
    .default(120)
    .meta({ group: 'Server' })
    .describe('seconds to keep trying when Server A is full or restarting'),
});

export type ClientSettings = z.infer<typeof clientSettings>;

/** Settings of a command that uses gRPC. */
export const grpcClientSettings = z.object({
  server: z
    .string()
    .default('127.0.0.1:50051')
    .meta({ group: 'Server', variable: 'DARKROOM_GRPC' })
    .describe('host:port of Server A for gRPC'),
  apiKey: clientSettings.shape.apiKey,
});

export type GrpcClientSettings = z.infer<typeof grpcClientSettings>;

/** Adds the flags of {@link clientSettings} to a command. */
export function addClientSettings(command: Command): Command {
  return addSettings(command, clientSettings, CLIENT_PREFIX);
}

/** The client settings from a command's flags and the environment. */
export function resolveClientSettings(flags: Readonly<Record<string, unknown>>): ClientSettings {
  return resolveSettings(clientSettings, CLIENT_PREFIX, flags, readEnvironment());
}
