import { z } from 'zod';
import { resolveSettings } from '../../shared/config.ts';
import { CLIENT_PREFIX, clientSettings } from '../http/config.ts';
import { readEnvironment } from '../settings.ts';

/** Settings of the commands that connect to the relay. */
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

/** The relay's address: that of the setting, else port 8080 of Server A's host. */
export function relayAddress({ websocket, server }: CameraSettings): string {
  if (websocket !== '') return websocket;
  const { protocol, hostname } = new URL(server);
  return `${protocol === 'https:' ? 'wss' : 'ws'}://${hostname}:${RELAY_PORT}`;
}
