import { expect } from 'chai';
import { tracedLines } from '../../support/traced-lines.ts';

const TASK = 'V1StGXR8_Z5jdHi6B-myT';

describe("the dispatcher's trace", () => {
  it('has a line for each change of a task and of the dispatcher itself', async () => {
    expect(await tracedLines('dispatcher-process', 'darkroom-dispatcher')).to.deep.equal([
      `${TASK} waits, shared`,
      'dispatch hears from instance first-life',
      `${TASK} starts, shared`,
      `${TASK} is given to a lane as attempt 1`,
      `${TASK} has the outcome failed`,
      `${TASK} has the verdict crashed`,
      `${TASK} waits again, alone`,
      `${TASK} no longer runs`,
      `${TASK} starts, alone`,
      `${TASK} is given to a lane as attempt 2`,
      `${TASK} has the outcome done`,
      `${TASK} has the verdict complete`,
      `${TASK} no longer runs`,
      'dispatch ends',
    ]);
  });
});
