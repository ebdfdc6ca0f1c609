import { writeFileSync } from 'node:fs';
import Mocha from 'mocha';
import { z } from 'zod';

const optionsSchema = z.object({ reporterOptions: z.object({ counts: z.string() }) });

/** mocha's spec reporter that also writes "passed failed pending" to the file named by its option `counts`. */
export default class CountingReporter extends Mocha.reporters.Spec {
  constructor(runner: Mocha.Runner, options: Mocha.MochaOptions) {
    super(runner, options);
    const { counts } = optionsSchema.parse(options).reporterOptions;
    runner.once(Mocha.Runner.constants.EVENT_RUN_END, () => {
      writeFileSync(counts, `${this.stats.passes} ${this.stats.failures} ${this.stats.pending}\n`);
    });
  }
}
