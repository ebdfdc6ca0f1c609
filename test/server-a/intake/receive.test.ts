import { writeFile } from 'node:fs/promises';
import { Readable } from 'node:stream';
import { expect } from 'chai';
import { Admission } from '../../../server-a/intake/admission.ts';
import { writeUpload } from '../../../server-a/intake/receive.ts';
import { NewPicture } from '../../../server-a/pictures/new-picture.ts';
import { Spool } from '../../../server-a/spool/spool.ts';
import { SYSTEM } from '../../../server-a/system.ts';
import { NODE_FILES } from '../../../shared/file-system.ts';
import { codeOf, makeLargePicture, silent, useTemporaryFolder } from '../tasks/support.ts';

const LIMITS = {
  maxUploadBytes: 1_000_000,
  maxPixels: 1_000_000,
  maxSide: 10_000,
  maxDecodedMb: 100,
  maxFrames: 1000,
  maxAnimationSeconds: 10,
};
const NAME = 'V1StGXR8_Z5jdHi6B-myT';
const ADMISSION = { maxQueued: 1, maxListed: 1, maxSpoolBytes: 1_000_000, maxUploadBytes: 1_000_000 };

describe('receive', () => {
  const folder = useTemporaryFolder();

  /** Receives a picture whose client aborts after the last byte, as a file that is opened with `flags`. */
  async function receiveAborted(flags: string): Promise<unknown> {
    const files = {
      ...NODE_FILES,
      open: (path: string, own: string | number) => NODE_FILES.open(path, withFlags(own)),
    };
    const withFlags = (own: string | number) => (own === 'wx+' ? flags : own);
    const spool = await Spool.open(folder(), silent, { ...SYSTEM, files, newId: () => NAME });
    await writeFile(spool.path(`${NAME}.tmp`), '');
    const picture = new NewPicture(spool, 'input');
    const admission = new Admission(ADMISSION, { bytes: 0, freeBytes: () => 1e12 }, { queued: 0, listed: 0 });
    const source = Readable.from([makeLargePicture()]);
    const client = new AbortController();
    source.once('close', () => client.abort(new Error('gone')));
    const code = await codeOf(writeUpload(source, picture, admission.reserve(null), LIMITS, client.signal));
    await picture.discard();
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
