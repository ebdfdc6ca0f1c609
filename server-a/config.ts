import { z } from 'zod';
import { ipAddresses, LOOPBACKS, ports } from '../shared/addresses.ts';
import { commonSettings, optionalText, port, positive, toggle } from '../shared/config.ts';

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
  ip: ipAddresses
    .default([...LOOPBACKS])
    .meta({ group: 'Addresses', short: '-i', shown: '127.0.0.1,::1' })
    .describe(
      'comma-separated IPv4 and IPv6 addresses to listen on, for every protocol; by default the loopbacks that exist',
    ),
  port: ports
    .default([5454])
    .meta({ group: 'Addresses', short: '-p' })
    .describe('comma-separated HTTP ports; 0 picks a free one'),
  zeromqPort: port
    .default(5555)
    .meta({ group: 'Addresses' })
    .describe('ZeroMQ port for requests (REP); 0 turns ZeroMQ off'),
  zeromqPubPort: port
    .default(5556)
    .meta({ group: 'Addresses' })
    .describe('ZeroMQ port that publishes the classes of listed URLs (PUB); 0 turns it off'),
  grpcPort: port.default(50_051).meta({ group: 'Addresses' }).describe('gRPC port; 0 turns gRPC off'),
  websocketPort: port
    .default(8080)
    .meta({ group: 'Addresses' })
    .describe('port of the WebSocket relay for cameras; 0 turns it off; may be one of --port'),
  serverBPort: port
    .default(0)
    .meta({ group: 'Addresses' })
    .describe('port of the child Server B on loopback; 0 picks a free one'),
  serverB: optionalText
    .meta({ group: 'Addresses' })
    .describe('host:port of a Server B that was started separately; used instead of a child Server B'),
  apiKeys: apiKeys
    .meta({ group: 'Access', shown: '' })
    .describe('comma-separated API keys; if set, every request except health checks needs one'),
  pathRoot: optionalText
    .meta({ group: 'Access' })
    .describe('folder below which requests may name files to read and write; without it, they may name none'),
  allowPrivateUrls: toggle
    .default(false)
    .meta({ group: 'Access' })
    .describe('fetch URLs at loopback, private and link-local addresses'),
  presets: optionalText
    .meta({ group: 'Work' })
    .describe('JSON file with named lists of outputs; a client asks for one with `preset`'),
  ...commonSettings,
  jobSeconds: positive
    .max(3600)
    .default(30)
    .meta({ group: 'Work' })
    .describe('longest time that a worker may spend on one job, in seconds'),
  maxUploadMb: positive.default(50).meta({ group: 'Limits' }).describe('largest upload, in MiB'),
  maxQueued: positive
    .default(10_000)
    .meta({ group: 'Limits' })
    .describe('most tasks that may wait or run at once; further uploads get 429'),
  maxSpoolMb: positive
    .default(20_480)
    .meta({ group: 'Storage' })
    .describe('most disk space for inputs and outputs, in MiB; further uploads get 507'),
  maxConnections: positive
    .default(1000)
    .meta({ group: 'Limits' })
    .describe('most open connections on each of the HTTP, gRPC and relay ports, and most open gRPC calls'),
  keepHours: z.coerce
    .number()
    .positive()
    .default(24)
    .meta({ group: 'Storage' })
    .describe('hours to keep outputs after the task ends; the record stays a week longer'),
  maxListed: positive
    .default(100_000)
    .meta({ group: 'Limits' })
    .describe('most listed URLs that may wait to be fetched; further lists get 429'),
  fetchAtOnce: positive.max(256).default(8).meta({ group: 'Limits' }).describe('most URLs fetched at once'),
  fetchSeconds: positive
    .max(600)
    .default(10)
    .meta({ group: 'Limits' })
    .describe('longest time to fetch one URL, in seconds'),
  maxFetchMb: positive.default(20).meta({ group: 'Limits' }).describe('largest fetched picture, in MiB'),
  keepImageHours: z.coerce
    .number()
    .positive()
    .default(720)
    .meta({ group: 'Storage' })
    .describe('hours to keep a picture that a client uploaded over ZeroMQ'),
  quarantineHours: z.coerce
    .number()
    .nonnegative()
    .default(24)
    .meta({ group: 'Limits' })
    .describe('hours for which a picture that crashed its worker is refused; 0 accepts it again at once'),
  requestSeconds: positive
    .default(300)
    .meta({ group: 'Limits' })
    .describe('longest time for a client to send one request, in seconds'),
});

export type ServerASettings = z.infer<typeof serverASettings>;

/** True when the WebSocket relay shares an HTTP port. */
export function sharesPort({ port, websocketPort }: Pick<ServerASettings, 'port' | 'websocketPort'>): boolean {
  return websocketPort !== 0 && port.includes(websocketPort);
}
