import { Command } from 'commander';
import { addClientSettings, resolveClientSettings } from '../http/config.ts';
import { taskIdArgument } from '../task-id.ts';

/** `darkroom status <id>`. */
export function statusCommand(): Command {
  const command = new Command('status')
    .description('show a task')
    .addArgument(taskIdArgument())
    .option('--wait', 'wait until the task has ended')
    .option('--json', 'print the record as one JSON line')
    .addHelpText('after', '\nThe exit code is 1 when the task failed or was canceled.');
  return addClientSettings(command).action(async (id: string, flags: Record<string, unknown>) => {
    const { withClient } = await import('../http/with-client.ts');
    const { taskLine } = await import('../http/task-line.ts');
    await withClient(resolveClientSettings(flags), async (client) => {
      const task = await (flags['wait'] === true ? client.waitForEnd(id) : client.status(id));
      process.stdout.write(`${flags['json'] === true ? JSON.stringify(task) : taskLine(task)}\n`);
      if (task.status === 'failed' || task.status === 'canceled') process.exitCode = 1;
    });
  });
}
