import { Argument } from 'commander';

/** Commands that take a task's id. */
const TASK_COMMANDS: ReadonlySet<string | undefined> = new Set(['status', 'result', 'cancel', 'image']);
const HYPHENED_ID = /^-[A-Za-z0-9_-]{20}$/;
const SHIELD = 'id:';

/** Marks task ids that begin with a hyphen, one in 64, so that commander does not read them as flags. */
export function shieldTaskIds(words: readonly string[]): string[] {
  if (!TASK_COMMANDS.has(words[0])) return [...words];
  return words.map((word) => (HYPHENED_ID.test(word) ? SHIELD + word : word));
}

/** The argument for a task's id; removes the mark of {@link shieldTaskIds}. */
export function taskIdArgument(): Argument {
  const argument = new Argument('<id>', 'the id that an upload printed');
  return argument.argParser((text) => (text.startsWith(SHIELD) ? text.slice(SHIELD.length) : text));
}
