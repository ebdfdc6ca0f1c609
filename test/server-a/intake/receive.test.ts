import { open, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { expect } from 'chai';
import { Admission } from '../../../server-a/intake/admission.ts';
import { writeUpload } from '../../../server-a/intake/receive.ts';
import { Spool } from '../../../server-a/spool/spool.ts';
import { SpoolFile } from '../../../server-a/spool/spool-file.ts';
import { codeOf, makePicture, silent, useTemporaryFolder } from '../tasks/support.ts';

const LIMITS = {
  maxUploadBytes: 1_000_000,
  maxPixels: 1_000_000,
  maxSide: 10_000,
  maxDecodedMb: 100,
  maxFrames: 1000,
  maxAnimationSeconds: 10,
};
const ADMISSION = { maxQueued: 1, maxListed: 1, maxSpoolBytes: 1_000_000, maxUploadBytes: 1_000_000 };

describe('receive', () => {
  const folder = useTemporaryFolder();

  /** Receives a picture whose client aborts after the last byte, into a file that was opened with `flags`. */
  async function receiveAborted(flags: string): Promise<unknown> {
    const path = join(folder(), 'file');
    await writeFile(path, '');
    const spool = await Spool.open(folder(), silent);
    const file = new SpoolFile(spool, path, await open(path, flags), 'input');
    const admission = new Admission(ADMISSION, { bytes: 0, freeBytes: () => 1e12 }, { queued: 0, listed: 0 });
    const source = Readable.from([await makePicture()]);
    const client = new AbortController();
    source.once('close', () => client.abort(new Error('gone')));
    const code = await codeOf(writeUpload(source, file, admission.reserve(null), LIMITS, client.signal));
    await file.discard();
    await spool.close();
    return code;
  }

  it('fails with the reason of the abort', async () => {
    expect(await receiveAborted('w+')).to.equal('gone');
  });

  it('fails with an internal error, even if the client aborts at the same time', async () => {
    expect(await receiveAborted('r')).to.match(/^EBADF/);
  });
});
