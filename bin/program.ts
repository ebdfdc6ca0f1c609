import { readFileSync } from 'node:fs';
import { Command } from 'commander';
import { z } from 'zod';
import { describeFailure } from './serve/failure.ts';
import { shieldTaskIds } from './task-id.ts';

type Loaders = Readonly<Record<string, () => Promise<Command>>>;

const SERVERS: Loaders = {
  serve: async () => (await import('./commands/serve.ts')).serveCommand(),
  'server-a': async () => (await import('./commands/server-a.ts')).serverACommand(),
  'server-b': async () => (await import('./commands/server-b.ts')).serverBCommand(),
  model: async () => (await import('./commands/model.ts')).modelCommand(),
  backup: async () => (await import('./commands/backup.ts')).backupCommand(),
  restore: async () => (await import('./commands/restore.ts')).restoreCommand(),
  quarantine: async () => (await import('./commands/quarantine.ts')).quarantineCommand(),
};
const CLIENTS: Loaders = {
  upload: async () => (await import('./commands/upload.ts')).uploadCommand(),
  status: async () => (await import('./commands/status.ts')).statusCommand(),
  result: async () => (await import('./commands/result.ts')).resultCommand(),
  cancel: async () => (await import('./commands/cancel.ts')).cancelCommand(),
  camera: async () => (await import('./commands/camera.ts')).cameraCommand(),
  snap: async () => (await import('./commands/snap.ts')).snapCommand(),
  classify: async () => (await import('./commands/classify.ts')).classifyCommand(),
  image: async () => (await import('./commands/image.ts')).imageCommand(),
  circle: async () => (await import('./commands/circle.ts')).circleCommand(),
};
const COMMANDS: Loaders = { ...SERVERS, ...CLIENTS };
/** The command when none is named. */
const DEFAULT = 'serve';

const packageJson = readFileSync(new URL('../../package.json', import.meta.url), 'utf8');
const { version } = z.object({ version: z.string() }).parse(JSON.parse(packageJson));

/** The program with the command that the first word names, or else with all: to load them all takes a while. */
async function programFor(word: string): Promise<Command> {
  const program = new Command('darkroom')
    .description('Resizes, crops and labels pictures: upload one, get a task id at once, fetch named outputs later.')
    .version(version);
  const load = Object.hasOwn(COMMANDS, word) ? COMMANDS[word] : undefined;
  if (load !== undefined) return program.addCommand(await load(), { isDefault: word === DEFAULT });
  for (const [heading, loaders] of [
    ['Servers:', SERVERS],
    ['Clients:', CLIENTS],
  ] as const) {
    program.commandsGroup(heading);
    for (const [name, loadNext] of Object.entries(loaders)) {
      program.addCommand(await loadNext(), { isDefault: name === DEFAULT });
    }
  }
  const [serve] = program.commands;
  return program.addHelpText('after', () => `\nWithout a command, darkroom serves:\n\n${serve?.helpInformation()}`);
}

/** Runs the command that the words ask for. A failure becomes one line on standard error and the exit code 1. */
export async function runProgram(words: readonly string[]): Promise<void> {
  try {
    const program = await programFor(words[0] ?? DEFAULT);
    await program.parseAsync(shieldTaskIds(words), { from: 'user' });
  } catch (error) {
    process.stderr.write(`${describeFailure(error)}\n`);
    process.exitCode ??= 1;
  }
}
