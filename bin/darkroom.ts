#!/usr/bin/env node
import { readFileSync } from 'node:fs';
import { Command } from 'commander';
import { z } from 'zod';
import { cameraCommand } from './commands/camera.ts';
import { cancelCommand } from './commands/cancel.ts';
import { circleCommand } from './commands/circle.ts';
import { classifyCommand } from './commands/classify.ts';
import { imageCommand } from './commands/image.ts';
import { modelCommand } from './commands/model.ts';
import { resultCommand } from './commands/result.ts';
import { serveCommand } from './commands/serve.ts';
import { serverACommand } from './commands/server-a.ts';
import { serverBCommand } from './commands/server-b.ts';
import { snapCommand } from './commands/snap.ts';
import { statusCommand } from './commands/status.ts';
import { uploadCommand } from './commands/upload.ts';
import { describeFailure } from './serve/failure.ts';
import { shieldTaskIds } from './task-id.ts';

const packageJson = readFileSync(new URL('../../package.json', import.meta.url), 'utf8');
const { version } = z.object({ version: z.string() }).parse(JSON.parse(packageJson));

const serve = serveCommand();
const program = new Command('darkroom')
  .description('Resizes, crops and labels pictures: upload one, get a task id at once, fetch named outputs later.')
  .version(version)
  .commandsGroup('Servers:')
  .addCommand(serve, { isDefault: true })
  .addCommand(serverACommand())
  .addCommand(serverBCommand())
  .addCommand(modelCommand())
  .commandsGroup('Clients:')
  .addCommand(uploadCommand())
  .addCommand(statusCommand())
  .addCommand(resultCommand())
  .addCommand(cancelCommand())
  .addCommand(cameraCommand())
  .addCommand(snapCommand())
  .addCommand(classifyCommand())
  .addCommand(imageCommand())
  .addCommand(circleCommand())
  .addHelpText('after', () => `\nWithout a command, darkroom serves:\n\n${serve.helpInformation()}`);

try {
  await program.parseAsync(shieldTaskIds(process.argv.slice(2)), { from: 'user' });
} catch (error) {
  process.stderr.write(`${describeFailure(error)}\n`);
  process.exitCode ??= 1;
}
