import { expect } from 'chai';
import { FolderSync } from '../../../server-a/spool/folder-sync.ts';
import { NODE_FILES } from '../../../shared/file-system.ts';
import { RecordingFiles } from '../../support/recording-files.ts';
import { useTemporaryFolder } from '../tasks/support.ts';

describe('folder sync', () => {
  const folder = useTemporaryFolder();

  it('shares one fsync among calls during another', async () => {
    const files = new RecordingFiles(folder());
    const folderSync = await FolderSync.open(folder(), files);
    const first = folderSync.sync();
    await new Promise(setImmediate);
    await Promise.all([first, ...Array.from({ length: 20 }, () => folderSync.sync())]);
    await folderSync.sync();
    await folderSync.close();
    expect(files.calls).to.deep.equal(['fsync .', 'fsync .', 'fsync .']);
  });

  it('rejects every call whose fsync failed', async () => {
    const folderSync = await FolderSync.open(folder(), NODE_FILES);
    await folderSync.close();
    const outcomes = await Promise.allSettled([folderSync.sync(), folderSync.sync()]);
    expect(outcomes.map((outcome) => outcome.status)).to.deep.equal(['rejected', 'rejected']);
  });
});
