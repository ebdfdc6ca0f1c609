import type { SettingsSchema } from '../../shared/config.ts';
import { DarkroomError, invalid, systemCode } from '../../shared/errors.ts';
import { listeningSettings, portsOf, type Values } from './ports.ts';

/** The text for the terminal: one line for an expected error (ours or the system's), the stack for any other. */
export function describeFailure(error: unknown): string {
  if (!(error instanceof Error)) return `darkroom: ${String(error)}`;
  const isExpected = error instanceof DarkroomError || systemCode(error) !== undefined;
  return isExpected
    ? `darkroom: ${error.message.trim().replace(/\s*\n\s*/g, ' ')}`
    : `darkroom: ${error.stack ?? error.message}`;
}

/** True for an error of listen(2) or bind(2); for an unknown zone, as in `fe80::1%eth9`, it is EINVAL. */
function isListening(error: unknown): boolean {
  return error instanceof Error && 'syscall' in error && (error.syscall === 'listen' || error.syscall === 'bind');
}

/**
 * Names the flag that corrects a failure to listen: "Expected a free port for --port, received 5454, which is in use
 * (EADDRINUSE)". Any other error is returned unchanged.
 */
export function explainListenFailure(error: unknown, schema: SettingsSchema, settings: Values): unknown {
  const code = systemCode(error);
  if (code === 'EADDRNOTAVAIL' || (code === 'EINVAL' && isListening(error))) {
    const address = error instanceof Error && 'address' in error ? error.address : undefined;
    return invalid('an address of this machine', '--ip', address ?? String(settings['ip']));
  }
  if (code !== 'EADDRINUSE' && code !== 'EACCES') return error;
  const port = error instanceof Error && 'port' in error ? error.port : undefined;
  const setting = listeningSettings(schema, settings).find(({ key }) =>
    portsOf(settings[key]).some((own) => own === port),
  );
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
