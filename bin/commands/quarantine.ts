import { Command } from 'commander';
import { SERVER_A_PREFIX } from '../../server-a/config.ts';
import { resolveSettings } from '../../shared/config.ts';
import { ownerSettings } from '../control/config.ts';
import { addSettings, readEnvironment } from '../settings.ts';
import { abortOnSignal } from '../signals.ts';

type Flags = Readonly<Record<string, unknown>>;

/** `darkroom quarantine list` and `darkroom quarantine release <sha256…>`. */
export function quarantineCommand(): Command {
  return new Command('quarantine')
    .description('pictures that crashed their worker, and that the running service refuses for a while')
    .addCommand(listCommand())
    .addCommand(releaseCommand());
}

function listCommand(): Command {
  const command = new Command('list').description('show each picture: SHA-256, end of its quarantine, task, file name');
  return addSettings(command, ownerSettings, SERVER_A_PREFIX).action(async (flags: Flags) => {
    const { listQuarantine } = await import('../control/run-quarantine.ts');
    for (const { sha256, until, task_id, filename } of await listQuarantine(dataDirOf(flags), abortOnSignal())) {
      process.stdout.write(`${sha256}  until ${until}  ${task_id}  ${filename ?? ''}`.trimEnd().concat('\n'));
    }
  });
}

function releaseCommand(): Command {
  const command = new Command('release')
    .description('accept pictures again')
    .argument('<sha256...>', 'as `darkroom quarantine list` shows them');
  return addSettings(command, ownerSettings, SERVER_A_PREFIX).action(async (sha256: string[], flags: Flags) => {
    const { releaseQuarantine } = await import('../control/run-quarantine.ts');
    const released = await releaseQuarantine(dataDirOf(flags), sha256, abortOnSignal());
    process.stdout.write(`Released  ${released}\n`);
  });
}

function dataDirOf(flags: Flags): string {
  return resolveSettings(ownerSettings, SERVER_A_PREFIX, flags, readEnvironment()).dataDir;
}
