import { EventEmitter, once } from 'node:events';
import { expect } from 'chai';
import { OutputReceiver } from '../../../server-a/dispatch/output-receiver.ts';
import { codeOf, LABELS, pictureHeader } from '../tasks/support.ts';
import { jobOf } from './support.ts';

const MIB = 1024 * 1024;
const HEADER = pictureHeader('resize', 4 * MIB);

/** Resolves when all promises that need no timer or I/O have settled. */
const settled = () => new Promise(setImmediate);

describe('output receiver', () => {
  let receiver: OutputReceiver;
  /** The recorded steps, in order. */
  let done: string[];
  let writes: EventEmitter;
  let isHeld: boolean;
  /** The error with which a write rejects. */
  let problem: Error | null;

  beforeEach(() => {
    done = [];
    writes = new EventEmitter();
    isHeld = false;
    problem = null;
    const store = {
      createOutput: async (_job: unknown, name: string) => {
        done.push(`create ${name}`);
        return {
          write: async (chunk: Uint8Array) => {
            done.push(`write ${chunk.length}`);
            if (isHeld) await once(writes, 'go on');
            if (problem !== null) throw problem;
          },
          commit: async () => `sha256 of ${name}`,
          discard: async () => {
            done.push(`discard ${name}`);
          },
        };
      },
    };
    receiver = new OutputReceiver(jobOf('one'), store, {
      pause: () => done.push('pause'),
      resume: () => done.push('resume'),
      failed: (error) => done.push(`failed: ${error}`),
    });
  });

  async function goOn(): Promise<void> {
    writes.emit('go on');
    await settled();
  }

  it('writes outputs in order and commits them all', async () => {
    receiver.begin(pictureHeader('resize', 5));
    receiver.data(Buffer.alloc(2));
    receiver.data(Buffer.alloc(3));
    receiver.begin(pictureHeader('circle', 4));
    receiver.data(Buffer.alloc(4));
    const outputs = await receiver.commit();
    expect(outputs.map(({ sha256 }) => sha256)).to.deep.equal(['sha256 of resize', 'sha256 of circle']);
    expect(done).to.deep.equal(['create resize', 'write 2', 'write 3', 'create circle', 'write 4']);
  });

  it('makes no file for labels', async () => {
    receiver.begin(LABELS.header);
    expect(await receiver.commit()).to.deep.equal([LABELS]);
    expect(done).to.deep.equal([]);
  });

  it('pauses the sender above 2 MiB of unwritten bytes, and resumes it at 1 MiB', async () => {
    isHeld = true;
    receiver.begin(HEADER);
    for (const bytes of [MIB, MIB]) receiver.data(Buffer.alloc(bytes));
    await settled();
    expect(done).not.to.contain('pause');
    for (const bytes of [MIB / 2, MIB / 2]) receiver.data(Buffer.alloc(bytes));
    expect(done.filter((what) => what === 'pause')).to.have.length(1);
    await goOn();
    expect(done).not.to.contain('resume');
    await goOn();
    expect(done.filter((what) => what === 'resume')).to.have.length(1);
    isHeld = false;
    await goOn();
    await receiver.commit();
    expect(done.filter((what) => what === 'resume')).to.have.length(1);
  });

  it('writes nothing more after a failure, reports it once, and rejects the commit with it', async () => {
    problem = new Error('full');
    receiver.begin(HEADER);
    receiver.data(Buffer.alloc(1));
    receiver.data(Buffer.alloc(2));
    await settled();
    problem = null;
    receiver.data(Buffer.alloc(3));
    receiver.begin(pictureHeader('circle', 4));
    expect(await codeOf(receiver.commit())).to.equal('full');
    expect(done).to.deep.equal(['create resize', 'write 1', 'failed: Error: full']);
  });

  it('resumes a paused sender after a failure', async () => {
    isHeld = true;
    receiver.begin(HEADER);
    receiver.data(Buffer.alloc(3 * MIB));
    await settled();
    problem = new Error('full');
    await goOn();
    expect(done.slice(-2)).to.deep.equal(['resume', 'failed: Error: full']);
  });

  it('discards the written files, and drops the bytes that still wait', async () => {
    isHeld = true;
    receiver.begin(HEADER);
    receiver.data(Buffer.alloc(3 * MIB));
    receiver.data(Buffer.alloc(1));
    await settled();
    const discarding = receiver.discard();
    await goOn();
    await discarding;
    expect(done).to.deep.equal(['pause', 'create resize', `write ${3 * MIB}`, 'resume', 'discard resize']);
  });
});
