import { Command, InvalidArgumentError, Option } from 'commander';
import { FITS, GRAVITIES } from '../../shared/operations/bounds.ts';
import { FORMATS } from '../../shared/operations/format.ts';
import { addClientSettings, resolveClientSettings } from '../http/config.ts';
import type { UploadFlags } from '../http/run-upload.ts';

const MOST_JOBS = 256;

/** `darkroom upload <paths...>`. */
export function uploadCommand(): Command {
  const command = new Command('upload')
    .description('upload pictures; a folder stands for all pictures in it and in its folders, by extension')
    .argument('<paths...>', 'files and folders')
    .optionsGroup('Operations:')
    .option('--scale <factor>', 'resize by a factor in (0, 10]')
    .option('--width <pixels>', 'resize to this width')
    .option('--height <pixels>', 'resize to this height')
    .addOption(new Option('--fit <how>', 'how the picture fits width × height').choices(FITS))
    .addOption(
      new Option('--format <format>', 'format of the new pictures (default: that of -o, else of the input)').choices(
        FORMATS,
      ),
    )
    .addOption(new Option('--gravity <where>', 'the part that --fit cover keeps').choices(GRAVITIES))
    .option('--background <colour>', 'colour of the padding, and behind transparency if the format has none')
    .option('--rotate <degrees>', 'turn clockwise by 90, 180 or 270')
    .option('--flip', 'mirror top to bottom')
    .option('--flop', 'mirror left to right')
    .option('--blur <sigma>', 'blur, 0.3 to 1000')
    .option('--sharpen [sigma]', 'sharpen, mildly or by sigma')
    .option('--lossless', 'write WebP and AVIF without loss')
    .option('--quality <1-100>', 'quality of the new pictures')
    .option('--grayscale', 'remove the colours')
    .option('--circle <pixels>', 'cut the centred circle and scale it to this diameter')
    .option('--classify', 'label the picture; this is the default, but only with the flag is a failure an error')
    .option('--no-classify', 'do not label the picture')
    .option('--top-k <1-100>', 'number of labels')
    .optionsGroup('Named outputs, in place of the above:')
    .option('--outputs <file>', 'a JSON file with a list of outputs')
    .option('--preset <names>', "outputs that the server's operator has defined, comma-separated")
    .optionsGroup('Results:')
    .option('--wait', 'wait for the end of each task')
    .option(
      '-o, --output <path-or-output>',
      'save the pictures to this file, or to this folder if there are several; name:parameter=value,… adds a named output instead, and may be repeated',
      (value: string, earlier: string[]) => [...earlier, value],
      [],
    )
    .option('--json', 'print one JSON line for each file: { file, task, saved, error }')
    .option('--jobs <number>', 'how many uploads run at once', parseJobs, 4)
    .addHelpText('after', '\nThe exit code is 1 when any file failed.');
  return addClientSettings(command).action(async (paths: string[], flags: UploadFlags & Record<string, unknown>) => {
    const settings = resolveClientSettings(flags);
    const { runUpload } = await import('../http/run-upload.ts');
    await runUpload(paths, flags, settings);
  });
}

function parseJobs(text: string): number {
  const jobs = Number(text);
  if (/^\d+$/.test(text) && jobs >= 1 && jobs <= MOST_JOBS) return jobs;
  throw new InvalidArgumentError(`Expected a whole number from 1 to ${MOST_JOBS}.`);
}
