import type { SettingsSchema } from '../../shared/config.ts';
import { DarkroomError, invalid, systemCode } from '../../shared/errors.ts';
import { listeningSettings, type Values } from './ports.ts';

/** The text for the terminal: one line for an expected error (ours or the system's), the stack for any other. */
export function describeFailure(error: unknown): string {
  if (!(error instanceof Error)) return `darkroom: ${String(error)}`;
  const isExpected = error instanceof DarkroomError || systemCode(error) !== undefined;
  return isExpected
    ? `darkroom: ${error.message.trim().replace(/\s*\n\s*/g, ' ')}`
    : `darkroom: ${error.stack ?? error.message}`;
}

/**
 * Names the flag that corrects a failure to listen: "Expected a free port for --port, received 5454, which is in use
 * (EADDRINUSE)". Any other error is returned unchanged.
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
