import { readClassification } from '../../../shared/operations/classify.ts';
import type { Task, TaskInput, TaskOutput } from '../../../shared/task.ts';
import type { PictureResult } from '../../tasks/result.ts';
import { enumValue, FORMAT, INPUT_FORMAT, knownEnumValue, OPERATION, TASK_STATUS } from './enums.ts';
import { toStruct } from './struct.ts';

/** The record as a `darkroom.v1.Task`; absent fields are null. */
export function taskMessage(task: Task): object {
  return {
    task_id: task.task_id,
    status: enumValue(TASK_STATUS, task.status),
    result: task.result,
    input: inputMessage(task.input),
    outputs: task.outputs.map(outputMessage),
    error: task.error,
    attempts: task.attempts,
    created_at: timestamp(task.created_at),
    started_at: timestamp(task.started_at),
    finished_at: timestamp(task.finished_at),
    expires_at: timestamp(task.expires_at),
    timings: task.timings,
    warnings: task.warnings ?? [],
  };
}

/** The first `ResultResponse` of a picture. */
export function pictureHeaderMessage({ mediaType, bytes, sha256 }: PictureResult): object {
  return { picture: { media_type: mediaType, bytes, sha256 } };
}

/** The result of an output without a picture, as a message's member: `labels` of a classification, otherwise `data`. */
export function dataMessage(output: TaskOutput): object {
  const classification = readClassification(output);
  if (classification !== null) return { labels: classification };
  const { name: _name, operation: _operation, status: _status, ...data } = output;
  return { data: toStruct(data) };
}

function inputMessage({ format, ...input }: TaskInput): object {
  return { ...input, format: enumValue(INPUT_FORMAT, format) };
}

function outputMessage(output: TaskOutput): object {
  const { name, operation } = output;
  return { name, operation: knownEnumValue(OPERATION, operation), operation_name: operation, ...outcome(output) };
}

function outcome(output: TaskOutput): object {
  if (output.error !== undefined) return { error: output.error };
  if (output.url === undefined) return dataMessage(output);
  const { format = null, width, height, frames, bytes, url } = output;
  return { picture: { format: enumValue(FORMAT, format), width, height, frames, bytes, url } };
}

/** A `google.protobuf.Timestamp`. */
function timestamp(time: string | null): { seconds: number; nanos: number } | null {
  if (time === null) return null;
  const milliseconds = Date.parse(time);
  const seconds = Math.floor(milliseconds / 1000);
  return { seconds, nanos: (milliseconds - seconds * 1000) * 1_000_000 };
}
