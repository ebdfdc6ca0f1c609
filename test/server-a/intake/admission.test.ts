import { expect } from 'chai';
import { Admission } from '../../../server-a/intake/admission.ts';
import { codeOf } from '../tasks/support.ts';

const MEBIBYTE = 1024 * 1024;
const LIMITS = { maxQueued: 3, maxListed: 5, maxSpoolBytes: 100, maxUploadBytes: 40 };

function admissionOf(disk: { bytes?: number; free?: number } = {}, queued = 0): Admission {
  return new Admission(LIMITS, { bytes: disk.bytes ?? 0, freeBytes: () => disk.free ?? 1e12 }, { queued, listed: 0 });
}

describe('admission', () => {
  it('counts uploads in progress against the queue', async () => {
    const admission = admissionOf({}, 1);
    const first = admission.reserve(1);
    admission.reserve(1);
    expect(await codeOf(() => admission.check(1))).to.equal('QUEUE_FULL');
    first.release();
    first.release();
    admission.reserve(1);
    expect(await codeOf(() => admission.reserve(1))).to.equal('QUEUE_FULL');
  });

  it('keeps a place that was handed over to a task until the task ends', async () => {
    const admission = admissionOf({}, 2);
    const reservation = admission.reserve(1);
    reservation.handOver();
    reservation.release();
    expect(await codeOf(() => admission.check(1))).to.equal('QUEUE_FULL');
    admission.leave();
    admission.check(1);
  });

  it('counts declared bytes against the spool, or the upload limit when none are declared', async () => {
    const admission = admissionOf({ bytes: 30 });
    const known = admission.reserve(30);
    admission.check(40);
    admission.check(null);
    expect(await codeOf(() => admission.promise(41))).to.equal('STORAGE_FULL');
    const unknown = admission.reserve(null);
    expect(await codeOf(() => admission.check(1))).to.equal('STORAGE_FULL');
    unknown.settle();
    admission.check(40);
    known.release();
  });

  it('extends a promise that was too small while there is room', async () => {
    const disk = { bytes: 0, freeBytes: () => 1e12 };
    const admission = new Admission(LIMITS, disk, { queued: 0, listed: 0 });
    const reservation = admission.reserve(10);
    for (const bytes of [8, 8, 70]) {
      reservation.consume(bytes);
      disk.bytes += bytes;
    }
    expect(await codeOf(() => reservation.consume(20))).to.equal('STORAGE_FULL');
    reservation.consume(14);
  });

  it('leaves room on disk for the ends of tasks, with any limit of the spool', async () => {
    expect(await codeOf(() => admissionOf({ free: 64 * MEBIBYTE }).check(1))).to.equal('STORAGE_FULL');
    const admission = admissionOf({ free: 64 * MEBIBYTE + 50 });
    admission.reserve(30);
    expect(await codeOf(() => admission.check(30))).to.equal('STORAGE_FULL');
    admission.check(20);
  });

  it('leaves the same room for lists and boxes, which need no space in the spool', async () => {
    const admission = admissionOf({ bytes: 200, free: 64 * MEBIBYTE + 50 });
    admission.list(1, 25);
    admission.checkRecords(25);
    expect(await codeOf(() => admission.list(1, 26))).to.equal('STORAGE_FULL');
    expect(await codeOf(() => admission.checkRecords(26))).to.equal('STORAGE_FULL');
    admission.list(LIMITS.maxListed - 1, 1);
    expect(await codeOf(() => admission.list(1, 1))).to.equal('QUEUE_FULL');
  });

  it('refuses everything while draining', async () => {
    const admission = admissionOf();
    admission.drain();
    expect(await codeOf(() => admission.check(1))).to.equal('DRAINING');
    expect(await codeOf(() => admission.reserve(1))).to.equal('DRAINING');
  });
});
