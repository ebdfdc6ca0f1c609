import type { MultiBar, SingleBar } from 'cli-progress';

/** The terminal of a command with many files: lines on standard output, a bar on standard error. */
export interface Console {
  /** One line on standard output. */
  line(text: string): void;
  /** One line on standard error. */
  errorLine(text: string): void;
  /** One more file is done. */
  advance(): void;
  /** Removes the bar. */
  close(): void;
}

/** A console with a bar up to `total`; without a bar if standard error is not a terminal or there is only one file. */
export async function openConsole(total: number): Promise<Console> {
  if (total < 2 || !process.stderr.isTTY) return plainConsole;
  const { MultiBar: Bars } = await import('cli-progress');
  const bars = new Bars({
    format: '{bar} {value}/{total} {eta_formatted}',
    barCompleteChar: '█',
    barIncompleteChar: '░',
    clearOnComplete: true,
    gracefulExit: false,
    hideCursor: true,
    stream: process.stderr,
  });
  return barConsole(bars, bars.create(total, 0));
}

const plainConsole: Console = {
  line: (text) => void process.stdout.write(`${text}\n`),
  errorLine: (text) => void process.stderr.write(`${text}\n`),
  advance: () => undefined,
  close: () => undefined,
};

/** Lines for the terminal go through the bar, which prints them above itself; lines for a file or pipe do not. */
function barConsole(bars: MultiBar, bar: SingleBar): Console {
  const aboveBar = (text: string): void => bars.log(`${text}\n`);
  return {
    line: process.stdout.isTTY ? aboveBar : plainConsole.line,
    errorLine: aboveBar,
    advance: () => bar.increment(),
    close: () => {
      // The bar prints lines when it is next drawn; without this update the last ones would be lost.
      bars.update();
      bars.stop();
    },
  };
}
