import { describeSettings, type Setting, type SettingsSchema } from '../../shared/config.ts';
import { DarkroomError } from '../../shared/errors.ts';

/** Settings by the names of their fields. */
export type Values = Readonly<Record<string, unknown>>;

/** The settings of the ports that will be opened: without those that are off, unused, or share another's port. */
export function listeningSettings(schema: SettingsSchema, values: Values): Setting[] {
  return describeSettings(schema, '').filter(
    ({ key }) => /port$/i.test(key) && portsOf(values[key]).length > 0 && !isIdle(key, values),
  );
}

/** Throws BAD_REQUEST, before any port is opened, when two flags have the same port and cannot share it. */
export function checkPorts(schema: SettingsSchema, values: Values): void {
  const flags = new Map<unknown, string>();
  for (const { key, flag } of listeningSettings(schema, values)) {
    for (const port of portsOf(values[key])) {
      const earlier = flags.get(port);
      if (earlier !== undefined) {
        const message = `Expected a port of its own for ${flag}, received ${port}, which is also that of ${earlier}`;
        throw new DarkroomError('BAD_REQUEST', message);
      }
      flags.set(port, flag);
    }
  }
}

/** The ports that a setting opens; 0 is none, or one that the system picks. */
export function portsOf(value: unknown): number[] {
  return [value].flat().flatMap((port) => (typeof port === 'number' && port !== 0 ? [port] : []));
}

function isIdle(key: string, values: Values): boolean {
  switch (key) {
    case 'zeromqPubPort':
      return values['zeromqPort'] === 0;
    case 'websocketPort':
      return portsOf(values['port']).some((port) => port === values['websocketPort']);
    case 'serverBPort':
      return values['serverB'] !== undefined;
    default:
      return false;
  }
}
