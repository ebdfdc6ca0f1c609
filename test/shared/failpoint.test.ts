import { expect } from 'chai';
import { type FailpointName, failpoint, failpointAfter, setFailpoints } from '../../shared/failpoint.ts';

describe('failpoint', () => {
  afterEach(() => setFailpoints(null));

  it('does nothing, and returns no promise, without an action', () => {
    const step = Promise.resolve(1);
    expect(failpoint('input-written')).to.equal(undefined);
    expect(failpointAfter(step, 'input-written')).to.equal(step);
  });

  it("calls the action after the step, and returns the step's value", async () => {
    const passed: FailpointName[] = [];
    setFailpoints((name) => {
      passed.push(name);
      return undefined;
    });
    let end = (_value: string) => {};
    const step = failpointAfter(
      new Promise<string>((resolve) => {
        end = resolve;
      }),
      'input-synced',
    );
    expect(passed).to.deep.equal([]);
    end('done');
    expect(await step).to.equal('done');
    expect(passed).to.deep.equal(['input-synced']);
  });

  it('blocks the caller until the promise of the action resolves', async () => {
    let release = () => {};
    const held = new Promise<void>((resolve) => {
      release = resolve;
    });
    setFailpoints(() => held);
    let isPassed = false;
    const step = failpointAfter(Promise.resolve(), 'input-renamed').then(() => {
      isPassed = true;
    });
    await new Promise(setImmediate);
    expect(isPassed).to.equal(false);
    release();
    await step;
  });

  it("fails the step with the action's error, and does not call the action when the step fails", async () => {
    setFailpoints((name) => {
      throw new Error(`stopped at ${name}`);
    });
    const reasonOf = (step: Promise<void>) => step.catch((error: unknown) => String(error));
    expect(await reasonOf(failpointAfter(Promise.resolve(), 'end-committed'))).to.equal(
      'Error: stopped at end-committed',
    );
    const failing = Promise.reject(new Error('disk'));
    expect(await reasonOf(failpointAfter(failing, 'end-committed'))).to.equal('Error: disk');
  });
});
