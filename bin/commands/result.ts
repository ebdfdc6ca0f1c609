import { Command } from 'commander';
import { addClientSettings, resolveClientSettings } from '../http/config.ts';
import { taskIdArgument } from '../task-id.ts';

/** `darkroom result <id> [name] -o <file>`. */
export function resultCommand(): Command {
  const command = new Command('result')
    .description('save an output of a task')
    .addArgument(taskIdArgument())
    .argument('[name]', 'the name of an output (default: the first picture)')
    .requiredOption('-o, --output <file>', 'the file to write');
  return addClientSettings(command).action(
    async (id: string, name: string | undefined, flags: Record<string, unknown> & { output: string }) => {
      const { withClient } = await import('../http/with-client.ts');
      await withClient(resolveClientSettings(flags), (client) => client.download(id, name, flags.output));
    },
  );
}
