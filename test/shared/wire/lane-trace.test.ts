import { expect } from 'chai';
import { tracedLines } from '../../support/traced-lines.ts';

/** The trace of one job between two lanes, on side a. */
const JOB = [
  'greeting: sent HELLO',
  'greeting: received WELCOME k3Jd -> idle',
  'idle: sent JOB V1StGXR8_Z5jdHi6B-myT 1 -> offered',
  'offered: received GO -> receiving',
  'receiving: sent DATA -> working',
  'working: received DONE -> idle',
  'idle: closed',
];

/** The trace of the same frames on side b. */
function mirrored(line: string): string {
  return line.replace(/sent|received/, (way) => (way === 'sent' ? 'received' : 'sent'));
}

describe("a lane's trace", () => {
  it('has a line for each state change of both sides, under the port that both know', async () => {
    const lines = await tracedLines('lane-process', 'darkroom-lane');
    const [port] = lines[0]?.match(/\d+/) ?? [];
    const sideOf = (side: string) => lines.filter((line) => line.startsWith(`${side}:${port} `));
    expect(sideOf('a')).to.deep.equal(JOB.map((line) => `a:${port} ${line}`));
    expect(sideOf('b')).to.deep.equal(JOB.map((line) => `b:${port} ${mirrored(line)}`));
    expect(lines).to.have.length(2 * JOB.length);
  });

  it('does not contain the token', async () => {
    expect((await tracedLines('lane-process', 'darkroom-lane')).join('\n')).not.to.contain('secret');
  });
});
