import { describeSettings, type Setting, type SettingsSchema } from '../../shared/config.ts';
import { DarkroomError } from '../../shared/errors.ts';

/** Settings by the names of their fields. */
export type Values = Readonly<Record<string, unknown>>;

/** The settings of the ports that will be opened: without those that are off, unused, or share another's port. */
export function listeningSettings(schema: SettingsSchema, values: Values): Setting[] {
  return describeSettings(schema, '').filter(
    ({ key }) => /port$/i.test(key) && values[key] !== 0 && values[key] !== undefined && !isIdle(key, values),
  );
}

/** Throws BAD_REQUEST, before any port is opened, when two flags have the same port and cannot share it. */
export function checkPorts(schema: SettingsSchema, values: Values): void {
  const flags = new Map<unknown, string>();
  for (const { key, flag } of listeningSettings(schema, values)) {
    const port = values[key];
    const earlier = flags.get(port);
    if (earlier !== undefined) {
      const message = `Expected a port of its own for ${flag}, received ${port}, which is also that of ${earlier}`;
      throw new DarkroomError('BAD_REQUEST', message);
    }
    flags.set(port, flag);
  }
}

function isIdle(key: string, values: Values): boolean {
  switch (key) {
    case 'zeromqPubPort':
      return values['zeromqPort'] === 0;
    case 'websocketPort':
      return values['port'] === values['websocketPort'];
    case 'serverBPort':
      return values['serverB'] !== undefined;
    default:
      return false;
  }
}
