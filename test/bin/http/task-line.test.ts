import { expect } from 'chai';
import { taskLine } from '../../../bin/http/task-line.ts';
import { listedTask } from '../../../server-a/store/row.ts';

describe('the line of a task', () => {
  it('ends with the warnings', () => {
    const task = { ...listedTask('V1StGXR8_Z5jdHi6B-myT', 'http://[::1]/cat.jpg', 0), warnings: ['One.', 'Two.'] };
    expect(taskLine(task)).to.equal('V1StGXR8_Z5jdHi6B-myT  pending  Warning: One.  Warning: Two.');
  });
});
