import { Command } from 'commander';
import { resolveSettings } from '../../shared/config.ts';
import { CLIENT_PREFIX } from '../http/config.ts';
import { addSettings, readEnvironment } from '../settings.ts';
import { listSettings } from '../zeromq/config.ts';

/** `darkroom classify <file>`. */
export function classifyCommand(): Command {
  const command = new Command('classify')
    .description('label the pictures at the URLs in a file, over ZeroMQ')
    .argument('<file>', 'a CSV file with one URL on each line; a header is optional')
    .option('--json', 'print one JSON line for each URL: { url, class } or { url, error }')
    .addHelpText('after', '\nThe exit code is 1 when any URL failed.');
  return addSettings(command, listSettings, CLIENT_PREFIX).action(
    async (file: string, flags: Record<string, unknown>) => {
      const settings = resolveSettings(listSettings, CLIENT_PREFIX, flags, readEnvironment());
      const { runClassify } = await import('../zeromq/classify.ts');
      await runClassify(file, flags['json'] === true, settings);
    },
  );
}
