import { Command } from 'commander';
import { addClientSettings, resolveClientSettings } from '../http/config.ts';
import { taskIdArgument } from '../task-id.ts';

/** `darkroom cancel <id>`. */
export function cancelCommand(): Command {
  const command = new Command('cancel')
    .description('cancel a task, or remove one that has ended')
    .addArgument(taskIdArgument());
  return addClientSettings(command).action(async (id: string, flags: Record<string, unknown>) => {
    const { withClient } = await import('../http/with-client.ts');
    await withClient(resolveClientSettings(flags), async (client) => {
      const task = await client.cancel(id);
      process.stdout.write(`${id}  ${task === null ? 'forgotten' : task.status}\n`);
    });
  });
}
