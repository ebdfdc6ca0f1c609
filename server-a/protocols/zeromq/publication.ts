import type { ErrorDescription } from '../../../shared/errors.ts';
import { readClassification } from '../../../shared/operations/classify.ts';
import type { Task } from '../../../shared/task.ts';

/** The message about a listed URL whose task has ended (docs/zeromq.md). */
export type Publication =
  | { readonly url: string; readonly class: string }
  | { readonly url: string; readonly error: string };

/** The best class of the URL's picture, or the error. */
export function publicationOf(task: Task): Publication {
  const url = task.input.source_url ?? '';
  const output = task.outputs.find(({ operation }) => operation === 'classify');
  const [best] = output === undefined ? [] : (readClassification(output)?.labels ?? []);
  if (best !== undefined) return { url, class: className(best.label) };
  return { url, error: (task.error ?? output?.error ?? withoutClass(task)).message };
}

/** A label as Keras' imagenet_class_index.json writes it: `Egyptian cat` → `Egyptian_cat`; `jack-o'-lantern` stays. */
export function className(label: string): string {
  return label.replaceAll(' ', '_');
}

function withoutClass({ status }: Task): Pick<ErrorDescription, 'message'> {
  return { message: status === 'canceled' ? 'The task was canceled.' : 'The task ended without a class.' };
}
