import { Command } from 'commander';
import { addClientSettings, resolveClientSettings } from '../client/config.ts';

/** `darkroom cancel <id>`. */
export function cancelCommand(): Command {
  const command = new Command('cancel')
    .description('cancel a task, or forget one that has ended')
    .argument('<id>', 'the task_id an upload gave');
  return addClientSettings(command).action(async (id: string, flags: Record<string, unknown>) => {
    const { withClient } = await import('../client/with-client.ts');
    await withClient(resolveClientSettings(flags), async (client) => {
      const task = await client.cancel(id);
      process.stdout.write(`${id}  ${task === null ? 'forgotten' : task.status}\n`);
    });
  });
}
