import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { cameraSettings } from '../bin/camera/config.ts';
import { ownerSettings } from '../bin/control/config.ts';
import { CLIENT_PREFIX, clientSettings, grpcClientSettings } from '../bin/http/config.ts';
import { zeromqAddresses } from '../bin/zeromq/config.ts';
import { SERVER_A_PREFIX, serverASettings } from '../server-a/config.ts';
import { SERVER_B_PREFIX, serverBSettings } from '../server-b/config.ts';
import { describeSettings, type Setting, type SettingsSchema } from '../shared/config.ts';
import { ERRORS } from '../shared/errors.ts';
import { memoryTable } from './memory-table.ts';

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
    introduction:
      'Read by `darkroom serve` and `darkroom server-a`. `serve` passes to its Server B those that Server B needs.',
    schema: serverASettings,
    prefix: SERVER_A_PREFIX,
  },
  {
    title: 'Server B on its own',
    introduction: 'Read by `darkroom server-b`.',
    schema: serverBSettings,
    prefix: SERVER_B_PREFIX,
  },
  {
    title: 'Commands of the owner',
    introduction: 'Read by `darkroom backup`, `restore` and `quarantine`.',
    schema: ownerSettings,
    prefix: SERVER_A_PREFIX,
  },
  {
    title: 'Client commands',
    introduction: 'Read by `darkroom upload`, `status`, `result` and `cancel`.',
    schema: clientSettings,
    prefix: CLIENT_PREFIX,
  },
  {
    title: 'Camera commands',
    introduction: 'Read by `darkroom camera` and `snap`, together with those of every client command.',
    schema: cameraSettings.pick({ websocket: true }),
    prefix: CLIENT_PREFIX,
  },
  {
    title: 'ZeroMQ client commands',
    introduction: 'Read by `darkroom classify` and `image`, together with `--api-key` and `--patience`.',
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

/** The generated files, by path. Each function gets the text that the file has now, '' when there is no file. */
const FILES: Readonly<Record<string, (current: string) => string>> = {
  '.env.example': environmentExample,
  'docs/configuration.md': configurationPage,
  'docs/http.md': (page) => withTable(page, 'docs/http.md', httpErrors()),
  'docs/grpc.md': (page) => withTable(page, 'docs/grpc.md', grpcErrors()),
};

/** The comments around a generated table in a page that people write. */
const TABLE_START = '<!-- generated from shared/errors.ts by npm run docs -->';
const TABLE_END = '<!-- end of the generated table -->';

function environmentExample(): string {
  const lines = [
    '# Copy to .env and uncomment what you want to change. Flags and environment variables override this file.',
  ];
  for (const section of SECTIONS) {
    lines.push('', `# ${section.title}`);
    for (const setting of describeSettings(section.schema, section.prefix)) {
      // A default in words, such as "the number of cores", is not a value.
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
    'A flag overrides an environment variable, which overrides a line in `.env` (in the current folder), which overrides',
    'the default. A switch can also be turned off: `--no-model-fetch`. `npm run docs` generates this page.',
  ];
  for (const section of SECTIONS) {
    lines.push('', `## ${section.title}`, '', section.introduction);
    const settings = describeSettings(section.schema, section.prefix);
    for (const group of new Set(settings.map((setting) => setting.group))) {
      lines.push('', `### ${group}`, '', '| flag | variable | default | |', '|---|---|---|---|');
      lines.push(...settings.filter((setting) => setting.group === group).map(tableRow));
    }
  }
  lines.push(...memorySection());
  return `${lines.join('\n')}\n`;
}

/** What the defaults take, in megapixels. */
function memorySection(): string[] {
  const defaults = serverASettings.parse({});
  const { memoryMb, maxUploadMb: uploadMb, maxPixels } = defaults;
  const [header = [], ...rows] = memoryTable({ memoryMb, uploadMb, limits: defaults });
  return [
    '',
    '## Memory',
    '',
    'Before a job begins, Server B reserves the memory that it may need: for the file, the decoded picture and the outputs.',
    'A picture that needs more than all of `--memory-mb` is refused with `IMAGE_TOO_LARGE` before it gets a task id; if its',
    'URL is in a list, only its task fails. Server A goes by the smallest `--memory-mb` that a Server B has announced since',
    'Server A started, and by its own before. So after you raise it for a separate Server B, restart Server A too.',
    '',
    `By default (${memoryMb} MiB) these are the largest pictures, in megapixels, for a picture of 4:3 in a file of ${uploadMb} MiB.`,
    `${maxPixels / 1_000_000} is the limit of \`--max-pixels\`; pictures of 16 bits also obey \`--max-decoded-mb\`.`,
    '',
    tableLine(header),
    tableLine(header.map(() => '---')),
    ...rows.map(tableLine),
  ];
}

function tableRow(setting: Setting): string {
  const flag = [setting.short, setting.flag]
    .filter(Boolean)
    .map((text) => `\`${text}\``)
    .join(', ');
  return `| ${flag} | \`${setting.variable}\` | ${setting.defaultText} | ${setting.description} |`;
}

function httpErrors(): string {
  const rows = Object.entries(ERRORS).map(([code, { http, retry, when }]) => [`${http}`, `\`${code}\``, retry, when]);
  return table([['status', 'code', 'retry', 'when'], ...rows]);
}

function grpcErrors(): string {
  const statuses = new Map<string, string[]>();
  for (const [code, { grpc }] of Object.entries(ERRORS)) {
    statuses.set(grpc, [...(statuses.get(grpc) ?? []), `\`${code}\``]);
  }
  const rows = [...statuses].map(([status, codes]) => [`\`${status}\``, codes.join(', ')]);
  return table([['gRPC status', 'codes'], ...rows]);
}

/** A Markdown table with padded cells, as the formatter wants it. The first row is the header; cells are ASCII. */
function table(rows: readonly (readonly string[])[]): string {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  const [header, ...body] = rows.map((row) => tableLine(row.map((cell, column) => cell.padEnd(widths[column] ?? 0))));
  return [header, tableLine(widths.map((width) => '-'.repeat(width))), ...body].join('\n');
}

function tableLine(cells: readonly string[]): string {
  return `| ${cells.join(' | ')} |`;
}

/** The page with `generated` between its two comments. Throws when one of them is missing. */
function withTable(page: string, path: string, generated: string): string {
  const start = page.indexOf(TABLE_START);
  const end = page.indexOf(TABLE_END, start);
  if (start === -1 || end === -1) {
    throw new Error(`Expected '${TABLE_START}' and then '${TABLE_END}' in ${path}, received a page without them`);
  }
  return `${page.slice(0, start)}${TABLE_START}\n\n${generated}\n\n${page.slice(end)}`;
}

const root = new URL('../../', import.meta.url);
for (const [path, generate] of Object.entries(FILES)) {
  const url = new URL(path, root);
  const current = existsSync(url) ? readFileSync(url, 'utf8') : '';
  const text = generate(current);
  if (text === current) continue;
  if (!process.argv.includes('--check')) {
    writeFileSync(url, text);
    continue;
  }
  process.stderr.write(`${path} is stale: run npm run docs\n`);
  process.exitCode = 1;
}
