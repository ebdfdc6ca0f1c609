import { Command, InvalidArgumentError } from 'commander';
import { resolveSettings } from '../../shared/config.ts';
import { MAX_SIDE } from '../../shared/operations/bounds.ts';
import { CLIENT_PREFIX } from '../http/config.ts';
import { addSettings, readEnvironment } from '../settings.ts';
import { taskIdArgument } from '../task-id.ts';
import { type RequestSettings, requestSettings } from '../zeromq/config.ts';

interface SaveFlags extends Record<string, unknown> {
  readonly output: string;
  readonly json?: boolean;
}

interface ResizeFlags extends SaveFlags {
  readonly width: number;
  readonly height: number;
}

/** `darkroom image upload|retrieve|resize`. */
export function imageCommand(): Command {
  return new Command('image')
    .description('keep pictures on the server, get them back, resize them, over ZeroMQ')
    .addCommand(uploadCommand())
    .addCommand(retrieveCommand())
    .addCommand(resizeCommand());
}

function uploadCommand(): Command {
  const command = new Command('upload')
    .description('upload pictures that the server keeps, and print the id of each')
    .argument('<files...>')
    .option('--json', 'print one JSON line for each file: { file, image_id, error }')
    .addHelpText('after', '\nThe exit code is 1 when any file failed.');
  return withSettings(command).action(async (files: string[], flags: Record<string, unknown>) => {
    const { runImageUpload } = await import('../zeromq/image.ts');
    await runImageUpload(files, flags['json'] === true, settingsOf(flags));
  });
}

function retrieveCommand(): Command {
  const command = saving(new Command('retrieve').description('save the bytes of a kept picture'));
  return withSettings(command).action(async (id: string, flags: SaveFlags) => {
    const { runImageSave } = await import('../zeromq/image.ts');
    await runImageSave(id, null, flags, settingsOf(flags));
  });
}

function resizeCommand(): Command {
  const command = saving(new Command('resize').description('save a kept picture as a PNG of exactly this size'))
    .requiredOption('--width <pixels>', 'its width', parseSide)
    .requiredOption('--height <pixels>', 'its height', parseSide);
  return withSettings(command).action(async (id: string, flags: ResizeFlags) => {
    const { runImageSave } = await import('../zeromq/image.ts');
    await runImageSave(id, { width: flags.width, height: flags.height }, flags, settingsOf(flags));
  });
}

function saving(command: Command): Command {
  return command
    .addArgument(taskIdArgument())
    .requiredOption('-o, --output <file>', 'the file to write')
    .option('--json', 'print one JSON line: { image_id, saved, bytes }');
}

function withSettings(command: Command): Command {
  return addSettings(command, requestSettings, CLIENT_PREFIX);
}

function settingsOf(flags: Readonly<Record<string, unknown>>): RequestSettings {
  return resolveSettings(requestSettings, CLIENT_PREFIX, flags, readEnvironment());
}

function parseSide(text: string): number {
  const side = Number(text);
  if (/^\d+$/.test(text) && side >= 1 && side <= MAX_SIDE) return side;
  throw new InvalidArgumentError(`Expected a whole number from 1 to ${MAX_SIDE}.`);
}
