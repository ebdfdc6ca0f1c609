import { readClassification } from '../../shared/operations/classify.ts';
import type { TaskOutput } from '../../shared/task.ts';
import type { TaskAnswer } from './client.ts';

/** A task on one line: "V1StGXR8_Z5jdHi6B-myT  completed  resize 640×480  tabby 76 %". */
export function taskLine(task: TaskAnswer): string {
  const error = task.error === null ? [] : [`${task.error.message} (${task.error.code})`];
  const warnings = (task.warnings ?? []).map((warning) => `Warning: ${warning}`);
  return [task.task_id, task.status, ...task.outputs.map(outputText), ...error, ...warnings].join('  ');
}

function outputText(output: TaskOutput): string {
  if (output.error !== undefined) return `${output.name} failed: ${output.error.message} (${output.error.code})`;
  const [best] = readClassification(output)?.labels ?? [];
  if (best !== undefined) return `${best.label} ${Math.round(best.probability * 100)} %`;
  if (output.url === undefined) return output.name;
  return `${output.name} ${output.width}×${output.height}`;
}
