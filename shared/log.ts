import { destination, type Logger, pino } from 'pino';

export type { Logger } from 'pino';

/** A JSON-lines logger on standard error; `name` is the tier. Lines about a task carry `task_id`. */
export function createLogger(name: string, level: string): Logger {
  return pino({ name, level }, destination({ dest: 2, sync: true }));
}
