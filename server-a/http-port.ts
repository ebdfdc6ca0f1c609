import type { Logger } from '../shared/log.ts';
import { type ServerASettings, sharesPort } from './config.ts';
import { createApp } from './protocols/http/app.ts';
import type { Readiness } from './protocols/http/routes/health.ts';
import { listen } from './protocols/http/server.ts';
import type { Protocol } from './protocols/protocol.ts';
import { attachEvents } from './protocols/websocket/events.ts';
import { Relay } from './protocols/websocket/relay.ts';
import type { Presets } from './tasks/presets.ts';
import type { Tasks } from './tasks/tasks.ts';

/** The parts that every protocol gets. */
export interface ProtocolContext {
  readonly tasks: Tasks;
  readonly presets: Presets;
  readonly settings: ServerASettings;
  readonly readiness: () => Readiness;
  readonly log: Logger;
}

/** HTTP, listening. */
export interface Http extends Protocol {
  readonly address: string;
  /** A line for each protocol that shares the HTTP port, but by default has its own port. */
  readonly sharing: readonly string[];
}

/** Starts HTTP and the protocols on its port. */
export async function startHttp(context: ProtocolContext): Promise<Http> {
  const { settings, log } = context;
  const http = await listen(createApp(context), { ips: settings.ip, ports: settings.port, settings, log });
  const relay = sharesPort(settings) ? new Relay(context) : null;
  const events = attachEvents(http.server, { ...context, relay });
  return {
    address: http.address,
    lines: http.addresses.map((address) => `HTTP      ${address}`),
    sharing: relay === null ? [] : sharedLines(http.addresses, settings.websocketPort),
    close: async (graceMs) => {
      await Promise.all([events.close(), relay?.close(graceMs)]);
      await http.close(graceMs);
    },
  };
}

/** The addresses that tell clients where the relay is: the HTTP ports all serve it, but its own is the one to use. */
function sharedLines(addresses: readonly string[], port: number): string[] {
  const own = addresses.filter((address) => address.endsWith(`:${port}`));
  return own.map((address) => `WebSocket ${address.replace('http://', '')}`);
}
