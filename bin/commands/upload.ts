import { Command, InvalidArgumentError, Option } from 'commander';
import { FITS, FORMATS } from '../../shared/operations.ts';
import { addClientSettings, resolveClientSettings } from '../client/config.ts';
import type { UploadFlags } from '../client/run-upload.ts';

const MOST_JOBS = 256;

/** `darkroom upload <paths...>`. */
export function uploadCommand(): Command {
  const command = new Command('upload')
    .description('upload pictures; of a folder those in it and below, by extension')
    .argument('<paths...>', 'files and folders')
    .optionsGroup('Operations:')
    .option('--scale <factor>', 'resize by a factor in (0, 10]')
    .option('--width <pixels>', 'resize to this width')
    .option('--height <pixels>', 'resize to this height')
    .addOption(new Option('--fit <how>', 'how the picture is laid into width × height').choices(FITS))
    .addOption(
      new Option('--format <format>', 'format of the new pictures; else as -o or the input says').choices(FORMATS),
    )
    .option('--quality <1-100>', 'quality of the new pictures')
    .option('--grayscale', 'without colours')
    .option('--circle <pixels>', 'cut the centred circle and scale it to this diameter')
    .option('--classify', 'name what is in the picture (default, and failing then is no failure)')
    .option('--no-classify', 'do not name what is in the picture')
    .option('--top-k <1-100>', 'how many names')
    .optionsGroup('Results:')
    .option('--wait', 'follow each task to its end')
    .option('-o, --output <path>', 'save the pictures: to this file, or to this folder when there are several')
    .option('--json', 'one JSON line a file: { file, task, saved, error }')
    .option('--jobs <number>', 'uploads in hand at once', parseJobs, 4)
    .addHelpText('after', '\nThe exit code is 1 when any file failed.');
  return addClientSettings(command).action(async (paths: string[], flags: UploadFlags & Record<string, unknown>) => {
    const settings = resolveClientSettings(flags);
    const { runUpload } = await import('../client/run-upload.ts');
    await runUpload(paths, flags, settings);
  });
}

function parseJobs(text: string): number {
  const jobs = Number(text);
  if (/^\d+$/.test(text) && jobs >= 1 && jobs <= MOST_JOBS) return jobs;
  throw new InvalidArgumentError(`Expected a whole number from 1 to ${MOST_JOBS}.`);
}
