import type { ErrorDescription } from '../../../shared/errors.ts';
import { readClassification } from '../../../shared/operations/classify.ts';
import type { Task } from '../../../shared/task.ts';

/** What is published of a listed URL that has ended (docs/zeromq.md). */
export type Publication =
  | { readonly url: string; readonly class: string }
  | { readonly url: string; readonly error: string };

/** The best class of a URL's picture, or why there is none. */
export function publicationOf(task: Task): Publication {
  const url = task.input.source_url ?? '';
  const output = task.outputs.find(({ operation }) => operation === 'classify');
  const [best] = output === undefined ? [] : (readClassification(output)?.labels ?? []);
  if (best !== undefined) return { url, class: className(best.label) };
  return { url, error: (task.error ?? output?.error ?? unended(task)).message };
}

/** A label as Keras' imagenet_class_index.json writes it: `Egyptian cat` is `Egyptian_cat`, `jack-o'-lantern` itself. */
export function className(label: string): string {
  return label.replaceAll(' ', '_');
}

function unended({ status }: Task): Pick<ErrorDescription, 'message'> {
  return { message: `Expected a class, received a task that was ${status} without one` };
}
