import { z } from 'zod';
import { commonSettings, ipAddress, optionalText, port } from '../shared/config.ts';

/** Prefix of Server B's environment variables. */
export const SERVER_B_PREFIX = 'DARKROOM_B_';

/** Server B's settings when it runs alone. */
export const serverBSettings = z.object({
  ip: ipAddress
    .default('127.0.0.1')
    .meta({ group: 'Addresses', short: '-i' })
    .describe('IPv4 or IPv6 address to listen on; any address but loopback needs a token'),
  port: port
    .default(5460)
    .meta({ group: 'Addresses', short: '-p' })
    .describe('TCP port for connections from Server A; 0 picks a free one'),
  ...commonSettings,
  operationsModule: optionalText
    .meta({ group: 'Work' })
    .describe('for tests: path of a module; each export replaces the operation of that name'),
});

export type ServerBSettings = z.infer<typeof serverBSettings>;
