import { Command } from 'commander';
import { addClientSettings, resolveClientSettings } from '../http/config.ts';
import { taskIdArgument } from '../task-id.ts';

/** `darkroom result <id> [name] -o <file>`. */
export function resultCommand(): Command {
  const command = new Command('result')
    .description('save an output of a task')
    .addArgument(taskIdArgument())
    .argument('[name]', 'the name of an output; the first picture when left out')
    .requiredOption('-o, --output <file>', 'where to');
  return addClientSettings(command).action(
    async (id: string, name: string | undefined, flags: Record<string, unknown> & { output: string }) => {
      const { withClient } = await import('../http/with-client.ts');
      await withClient(resolveClientSettings(flags), (client) => client.download(id, name, flags.output));
    },
  );
}
