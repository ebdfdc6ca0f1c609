import { z } from 'zod';
import { resolveSettings } from '../../shared/config.ts';
import { CLIENT_PREFIX, clientSettings } from '../http/config.ts';
import { readEnvironment } from '../settings.ts';

/** What the commands that speak to the relay need to know. */
export const cameraSettings = clientSettings.extend({
  websocket: z
    .string()
    .transform((text) => (text === '' || text.includes('://') ? text : `ws://${text}`))
    .pipe(z.union([z.literal(''), z.url({ protocol: /^wss?$/ })]))
    .default('')
    .meta({ group: 'Server', shown: 'port 8080 of the host of --server' })
    .describe('address of the WebSocket relay'),
});
export type CameraSettings = z.infer<typeof cameraSettings>;

const RELAY_PORT = '8080';

/** The settings from a command's flags and the environment. */
export function resolveCameraSettings(flags: Readonly<Record<string, unknown>>): CameraSettings {
  return resolveSettings(cameraSettings, CLIENT_PREFIX, flags, readEnvironment());
}

/** Where the relay is: where it is said to be, else beside Server A. */
export function relayAddress({ websocket, server }: CameraSettings): string {
  if (websocket !== '') return websocket;
  const { protocol, hostname } = new URL(server);
  return `${protocol === 'https:' ? 'wss' : 'ws'}://${hostname}:${RELAY_PORT}`;
}
