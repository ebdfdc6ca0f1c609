import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { cameraSettings } from '../bin/camera/config.ts';
import { CLIENT_PREFIX, clientSettings, grpcClientSettings } from '../bin/http/config.ts';
import { zeromqAddresses } from '../bin/zeromq/config.ts';
import { SERVER_A_PREFIX, serverASettings } from '../server-a/config.ts';
import { SERVER_B_PREFIX, serverBSettings } from '../server-b/config.ts';
import { describeSettings, type Setting, type SettingsSchema } from '../shared/config.ts';

/** A set of settings with the commands that read it. */
interface Section {
  readonly title: string;
  readonly introduction: string;
  readonly schema: SettingsSchema;
  readonly prefix: string;
}

const SECTIONS: readonly Section[] = [
  {
    title: 'Server A',
    introduction: 'Read by `darkroom serve` and `darkroom server-a`. What Server B needs is handed on to the child.',
    schema: serverASettings,
    prefix: SERVER_A_PREFIX,
  },
  {
    title: 'Server B apart',
    introduction: 'Read by `darkroom server-b`.',
    schema: serverBSettings,
    prefix: SERVER_B_PREFIX,
  },
  {
    title: 'Client commands',
    introduction: 'Read by `darkroom upload`, `status`, `result` and `cancel`.',
    schema: clientSettings,
    prefix: CLIENT_PREFIX,
  },
  {
    title: 'Camera commands',
    introduction: 'Read by `darkroom camera` and `snap`, beside those of every client command.',
    schema: cameraSettings.pick({ websocket: true }),
    prefix: CLIENT_PREFIX,
  },
  {
    title: 'ZeroMQ client commands',
    introduction: 'Read by `darkroom classify` and `image`, beside `--api-key` and `--patience`.',
    schema: zeromqAddresses,
    prefix: CLIENT_PREFIX,
  },
  {
    title: 'Client commands over gRPC',
    introduction: 'Read by `darkroom circle`.',
    schema: grpcClientSettings,
    prefix: CLIENT_PREFIX,
  },
];

/** The files made from the settings' schemas, by their path in the repository. */
const FILES: Readonly<Record<string, string>> = {
  '.env.example': environmentExample(),
  'docs/configuration.md': configurationPage(),
};

function environmentExample(): string {
  const lines = [
    '# Copy to .env and uncomment what should differ. Flags and real environment variables beat this file.',
  ];
  for (const section of SECTIONS) {
    lines.push('', `# ${section.title}`);
    for (const setting of describeSettings(section.schema, section.prefix)) {
      // A default that is said in words, such as the number of cores, is no value.
      const isValue = !setting.defaultText.includes(' ');
      const note = isValue ? '' : ` (default: ${setting.defaultText})`;
      lines.push('', `# ${setting.description}${note}`, `#${setting.variable}=${isValue ? setting.defaultText : ''}`);
    }
  }
  return `${lines.join('\n')}\n`;
}

function configurationPage(): string {
  const lines = [
    '# Settings',
    '',
    'A flag beats an environment variable, which beats a line in `.env` (in the current folder), which beats the default.',
    'A switch also has its opposite: `--no-model-fetch`. This page is made by `npm run docs`.',
  ];
  for (const section of SECTIONS) {
    lines.push('', `## ${section.title}`, '', section.introduction);
    const settings = describeSettings(section.schema, section.prefix);
    for (const group of new Set(settings.map((setting) => setting.group))) {
      lines.push('', `### ${group}`, '', '| flag | variable | default | |', '|---|---|---|---|');
      lines.push(...settings.filter((setting) => setting.group === group).map(tableRow));
    }
  }
  return `${lines.join('\n')}\n`;
}

function tableRow(setting: Setting): string {
  const flag = [setting.short, setting.flag]
    .filter(Boolean)
    .map((text) => `\`${text}\``)
    .join(', ');
  return `| ${flag} | \`${setting.variable}\` | ${setting.defaultText} | ${setting.description} |`;
}

const root = new URL('../../', import.meta.url);
for (const [path, text] of Object.entries(FILES)) {
  const url = new URL(path, root);
  if (!process.argv.includes('--check')) writeFileSync(url, text);
  else if (!existsSync(url) || readFileSync(url, 'utf8') !== text) {
    process.stderr.write(`${path} is stale: run npm run docs\n`);
    process.exitCode = 1;
  }
}
