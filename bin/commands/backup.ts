import { Command } from 'commander';
import { SERVER_A_PREFIX } from '../../server-a/config.ts';
import { resolveSettings } from '../../shared/config.ts';
import { ownerSettings } from '../control/config.ts';
import { addSettings, readEnvironment } from '../settings.ts';
import { abortOnSignal } from '../signals.ts';

/** `darkroom backup <file>`. */
export function backupCommand(): Command {
  const command = new Command('backup')
    .description('write all tasks and pictures of the running service to one archive')
    .argument('<file>', 'the archive (tar); an older one is replaced when the new one is complete');
  return addSettings(command, ownerSettings, SERVER_A_PREFIX).action(async (file: string, flags) => {
    const { saveBackup } = await import('../control/run-backup.ts');
    const { dataDir } = resolveSettings(ownerSettings, SERVER_A_PREFIX, flags, readEnvironment());
    const { bytes, pictures, missing } = await saveBackup(dataDir, file, abortOnSignal());
    const note = missing === 0 ? '' : `, ${missing} missing on disk`;
    process.stdout.write(`Backup  ${file}  ${bytes} bytes, ${pictures} pictures${note}\n`);
  });
}
