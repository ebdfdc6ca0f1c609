import { Command } from 'commander';
import { cameraSettings, relayAddress, resolveCameraSettings } from '../camera/config.ts';
import { CLIENT_PREFIX } from '../http/config.ts';
import { addSettings } from '../settings.ts';
import { abortOnSignal } from '../signals.ts';

/** `darkroom snap`. */
export function snapCommand(): Command {
  const command = new Command('snap')
    .description('tell every camera to take a picture')
    .option('--stop', 'send "stop" instead: the scan is complete')
    .option('--json', 'print one JSON line: { sent, relay }');
  return addSettings(command, cameraSettings, CLIENT_PREFIX).action(async (flags: Record<string, unknown>) => {
    const settings = resolveCameraSettings(flags);
    const { sendOnce } = await import('../camera/relay.ts');
    const sent = flags['stop'] === true ? 'stop' : 'snap';
    const relay = relayAddress(settings);
    await sendOnce(settings, sent, abortOnSignal());
    process.stdout.write(flags['json'] === true ? `${JSON.stringify({ sent, relay })}\n` : `${sent}  ${relay}\n`);
  });
}
