import { readFile } from 'node:fs/promises';
import { expect } from 'chai';
import { taskMessage } from '../../../../server-a/protocols/grpc/translate.ts';
import { INPUT_FORMATS } from '../../../../shared/operations/format.ts';
import type { Task } from '../../../../shared/task.ts';

describe('a task as a message', () => {
  const task = (format: Task['input']['format']): Task => ({
    task_id: 'V1StGXR8_Z5jdHi6B-myT',
    status: 'pending',
    result: null,
    input: {
      filename: null,
      source_url: null,
      format,
      width: 1,
      height: 1,
      frames: 1,
      pages: null,
      bytes: 1,
      sha256: null,
      original: null,
    },
    outputs: [],
    error: null,
    attempts: 0,
    created_at: '2026-01-01T00:00:00.000Z',
    started_at: null,
    finished_at: null,
    expires_at: null,
    timings: {},
  });

  it('names every format that an input may have by a value of the enum in the proto file', async () => {
    const proto = await readFile('proto/darkroom/v1/darkroom.proto', 'utf8');
    for (const format of [...INPUT_FORMATS, null]) {
      const value = `FORMAT_${(format ?? 'unspecified').toUpperCase()}`;
      expect(taskMessage(task(format))).to.have.nested.property('input.format', value);
      expect(proto).to.match(new RegExp(`\\b${value} = \\d`));
    }
  });
});
