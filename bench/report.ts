import type { Case, Figure, Row, Target } from './case.ts';
import { withUnit } from './compare.ts';

/** A case and what it gave. */
export interface Result {
  readonly name: Case['name'];
  readonly title: Case['title'];
  readonly rows: readonly Row[];
}

const HEADER = ['case', 'figure', 'value', 'spread', 'Darkroom', 'reference', 'target', 'met'];

/** True where the figure keeps its bound; null where it has none. */
export function isMet({ value, target }: Pick<Figure, 'value' | 'target'>): boolean | null {
  if (target === null) return null;
  return 'most' in target ? value <= target.most : value >= target.least;
}

/** A Markdown table of all figures, padded so that it is also read as text. */
export function table(results: readonly Result[]): string {
  const lines = results.flatMap(({ name, title, rows }) =>
    rows.map((row, index) => [index === 0 ? `${name}: ${title}` : '', ...cells(row)]),
  );
  const all = [HEADER, ...lines];
  const widths = HEADER.map((_, column) => Math.max(...all.map((line) => line[column]?.length ?? 0)));
  const show = (line: readonly string[]) =>
    `| ${widths.map((width, column) => (line[column] ?? '').padEnd(width)).join(' | ')} |`;
  const rule = show(widths.map((width) => '-'.repeat(width)));
  return [show(HEADER), rule, ...lines.map(show)].join('\n');
}

function cells(row: Row): string[] {
  if ('reason' in row) return [row.figure, 'not run', '', '', '', '', row.reason];
  const { figure, value, unit, spread, target, darkroom = '', reference = '' } = row;
  const range = spread === null ? '' : spread.map((one) => withUnit(one, '')).join(' to ');
  const met = isMet(row);
  return [
    figure,
    withUnit(value, unit),
    range,
    darkroom,
    reference,
    target === null ? '' : describe(target, unit),
    met === null ? '' : met ? 'yes' : 'no',
  ];
}

function describe(target: Target, unit: string): string {
  const [sign, bound] = 'most' in target ? ['≤', target.most] : ['≥', target.least];
  return `${sign} ${bound}${unit === '' ? '' : ` ${unit}`}`;
}

/** What a run was made with, a line each. */
export type Facts = Readonly<Record<string, string>>;

/** The page `docs/benchmarks.md`. */
export function page(facts: Facts, results: readonly Result[]): string {
  return `# Benchmarks

\`npm run bench\` measures, and writes this page. Quote the ratios: Darkroom and its reference took turns in one run on one
machine, so that a change of the machine's speed affected both. [CONTRIBUTING.md](../CONTRIBUTING.md#measure) explains the
cases.

${Object.entries(facts)
  .map(([name, value]) => `- ${name}: ${value}`)
  .join('\n')}

A value is the median of all rounds, a percentile that of all requests; the spread is the smallest and the largest value
of a round. \`Darkroom\` and \`reference\` are the values behind a ratio: milliseconds of CPU of all processes for each
picture, pictures a second, or what the figure says.

${table(results)}
`;
}
