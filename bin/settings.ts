import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseEnv } from 'node:util';
import { type Command, Option } from 'commander';
import { describeSettings, type Setting, type SettingsSchema } from '../shared/config.ts';
import { systemCode } from '../shared/errors.ts';

/** Environment variables by name. */
export type Environment = Readonly<Record<string, string | undefined>>;

/** The variables of `.env` in `folder`, overridden by the process's environment. A missing `.env` counts as empty. */
export function readEnvironment(folder: string = process.cwd()): Environment {
  return { ...readDotEnv(join(folder, '.env')), ...process.env };
}

/** Adds one flag to a command for each setting of a schema, under the setting's heading. */
export function addSettings(command: Command, schema: SettingsSchema, prefix: string): Command {
  const settings = describeSettings(schema, prefix);
  for (const setting of settings) {
    const options = setting.isSwitch ? switchOptions(setting) : [valueOption(setting)];
    for (const option of options) command.addOption(option.helpGroup(`${setting.group}:`));
  }
  const [example] = settings;
  const headings = [...new Set(settings.map(({ group }) => group))].join(', ');
  const note = `Flags under ${headings} are environment variables, too (${example?.flag}: ${example?.variable}), also in .env.`;
  return command.addHelpText('after', `\n${note}`);
}

function readDotEnv(path: string): Environment {
  try {
    return parseEnv(readFileSync(path, 'utf8'));
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return {};
    throw error;
  }
}

function valueOption(setting: Setting): Option {
  const flags = [setting.short, setting.flag].filter(Boolean).join(', ');
  const preset = setting.defaultText === '' ? '' : ` (default: ${setting.defaultText})`;
  return new Option(`${flags} <value>`, setting.description + preset);
}

/** Both directions of a switch, so that a flag can override the environment. Help shows the one that is not the default. */
function switchOptions(setting: Setting): Option[] {
  const isOn = setting.defaultText === 'true';
  const off = setting.flag.replace('--', '--no-');
  return [
    new Option(setting.flag, setting.description).hideHelp(isOn),
    new Option(off, `do not ${setting.description}`).hideHelp(!isOn),
  ];
}
