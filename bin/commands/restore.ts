import { Command } from 'commander';
import { SERVER_A_PREFIX } from '../../server-a/config.ts';
import { resolveSettings } from '../../shared/config.ts';
import { ownerSettings } from '../control/config.ts';
import { addSettings, readEnvironment } from '../settings.ts';

/** `darkroom restore <file>`. */
export function restoreCommand(): Command {
  const command = new Command('restore')
    .description('put a backup into an empty data folder; start Darkroom with that folder then')
    .argument('<file>', 'an archive that `darkroom backup` wrote');
  return addSettings(command, ownerSettings, SERVER_A_PREFIX).action(async (file: string, flags) => {
    const { restore } = await import('../../server-a/backup/restore.ts');
    const { dataDir } = resolveSettings(ownerSettings, SERVER_A_PREFIX, flags, readEnvironment());
    const { files, stored, created_at } = await restore(file, dataDir);
    process.stdout.write(`Restored  ${dataDir}  ${files + stored} pictures of ${created_at}\n`);
  });
}
