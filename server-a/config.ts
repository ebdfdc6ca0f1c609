import { z } from 'zod';
import { commonSettings, ipAddress, optionalText, port, positive, toggle } from '../shared/config.ts';

/** Prefix of Server A's environment variables. */
export const SERVER_A_PREFIX = 'DARKROOM_';

const apiKeys = z
  .string()
  .transform((text) => text.split(',').flatMap((key) => key.trim() || []))
  // `--api-keys ""`, from an unset shell variable, must not disable authentication.
  .refine((keys) => keys.length > 0, 'at least one key')
  .default([]);

/** Server A's settings, and settings that `darkroom serve` passes on to its child Server B. */
export const serverASettings = z.object({
  ip: ipAddress
    .default('127.0.0.1')
    .meta({ group: 'Addresses', short: '-i' })
    .describe('IPv4 or IPv6 address of every listener'),
  port: port.default(5454).meta({ group: 'Addresses', short: '-p' }).describe('HTTP port; 0 picks a free one'),
  zeromqPort: port
    .default(5555)
    .meta({ group: 'Addresses' })
    .describe('ZeroMQ port for requests (REP); 0 turns ZeroMQ off'),
  zeromqPubPort: port
    .default(5556)
    .meta({ group: 'Addresses' })
    .describe('ZeroMQ port on which the classes of listed URLs are published (PUB); 0 turns it off'),
  grpcPort: port.default(50_051).meta({ group: 'Addresses' }).describe('gRPC port; 0 turns gRPC off'),
  websocketPort: port
    .default(8080)
    .meta({ group: 'Addresses' })
    .describe('port of the WebSocket relay for cameras; 0 turns it off, that of --port shares it'),
  serverBPort: port
    .default(0)
    .meta({ group: 'Addresses' })
    .describe('port of the child Server B on loopback; 0 picks a free one'),
  serverB: optionalText
    .meta({ group: 'Addresses' })
    .describe('host:port of a Server B that runs elsewhere, instead of a child'),
  apiKeys: apiKeys
    .meta({ group: 'Access', shown: '' })
    .describe('comma-separated keys; when given, every request but /livez and /readyz needs one'),
  pathRoot: optionalText
    .meta({ group: 'Access' })
    .describe('the only folder in which requests may name files to read and write; none without it'),
  allowPrivateUrls: toggle
    .default(false)
    .meta({ group: 'Access' })
    .describe('fetch URLs of loopback, private and link-local addresses, too'),
  presets: optionalText
    .meta({ group: 'Work' })
    .describe('JSON file of named lists of outputs, which clients ask for by `preset`'),
  ...commonSettings,
  jobSeconds: positive.max(3600).default(30).meta({ group: 'Work' }).describe('seconds a worker may spend on one job'),
  maxUploadMb: positive.default(50).meta({ group: 'Limits' }).describe('size of one upload, in MiB'),
  maxQueued: positive
    .default(10_000)
    .meta({ group: 'Limits' })
    .describe('tasks that wait or run at once; beyond it uploads get 429'),
  maxSpoolMb: positive
    .default(20_480)
    .meta({ group: 'Storage' })
    .describe('inputs and outputs kept on disk, in MiB; beyond it uploads get 507'),
  maxConnections: positive.default(1000).meta({ group: 'Limits' }).describe('HTTP connections open at once'),
  keepHours: z.coerce
    .number()
    .positive()
    .default(24)
    .meta({ group: 'Storage' })
    .describe('hours for which outputs are kept; the record stays a week longer'),
  maxListed: positive
    .default(100_000)
    .meta({ group: 'Limits' })
    .describe('listed URLs that wait to be fetched; beyond it lists get 429'),
  fetchAtOnce: positive.max(256).default(8).meta({ group: 'Limits' }).describe('URLs fetched at once'),
  fetchSeconds: positive.max(600).default(10).meta({ group: 'Limits' }).describe('seconds one URL may take'),
  maxFetchMb: positive.default(20).meta({ group: 'Limits' }).describe('size of one fetched picture, in MiB'),
  keepImageHours: z.coerce
    .number()
    .positive()
    .default(720)
    .meta({ group: 'Storage' })
    .describe('hours for which pictures that were handed in to be kept are kept'),
  requestSeconds: positive
    .default(300)
    .meta({ group: 'Limits' })
    .describe('seconds a client may take to send one request'),
});

export type ServerASettings = z.infer<typeof serverASettings>;
