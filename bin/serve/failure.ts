import type { SettingsSchema } from '../../shared/config.ts';
import { DarkroomError, invalid, systemCode } from '../../shared/errors.ts';
import { listeningSettings, type Values } from './ports.ts';

/** What a person at the terminal is told: one line for what was foreseen, the stack for what was not. */
export function describeFailure(error: unknown): string {
  if (!(error instanceof Error)) return `darkroom: ${String(error)}`;
  const foreseen = error instanceof DarkroomError || systemCode(error) !== undefined;
  return foreseen
    ? `darkroom: ${error.message.trim().replace(/\s*\n\s*/g, ' ')}`
    : `darkroom: ${error.stack ?? error.message}`;
}

/**
 * A failure to listen in terms of the flag that would mend it: "Expected a free port for --port, received 5454, which is
 * in use (EADDRINUSE)". Anything else is given back as it came.
 */
export function explainListenFailure(error: unknown, schema: SettingsSchema, settings: Values): unknown {
  const code = systemCode(error);
  if (code === 'EADDRNOTAVAIL') return invalid('an address of this machine', '--ip', settings['ip']);
  if (code !== 'EADDRINUSE' && code !== 'EACCES') return error;
  const port = error instanceof Error && 'port' in error ? error.port : undefined;
  const setting = listeningSettings(schema, settings).find(({ key }) => settings[key] === port);
  if (setting === undefined) return error;
  const [expected, reason] =
    code === 'EADDRINUSE'
      ? ['a free port', 'which is in use']
      : ['a port that this user may open', 'which is not allowed'];
  return new DarkroomError(
    'BAD_REQUEST',
    `Expected ${expected} for ${setting.flag}, received ${port}, ${reason} (${code})`,
    { cause: error },
  );
}
