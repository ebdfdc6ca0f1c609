import { join } from 'node:path';
import { expect } from 'chai';
import { openForReading } from '../../../server-a/store/schema.ts';
import type { Command } from '../../../server-a/store/statements.ts';
import { WriteQueue } from '../../../server-a/store/write-queue.ts';
import { codeOf, useTemporaryFolder } from '../tasks/support.ts';

const WRITER = new URL('../../../server-a/store/writer-thread.js', import.meta.url);
const DYING = new URL('./fixtures/dying-writer.js', import.meta.url);

function insert(id: string): Command {
  const picture = { filename: null, header: '{}', bytes: 1, sha256: '' };
  const kept = { original_kept: 0, original_expires_at: null, snippet: null, boxes: null } as const;
  const parameters = { id, ...picture, ...kept, specs: '[]', now: 0 };
  return { statement: 'insert', parameters };
}

describe('write queue', () => {
  const folder = useTemporaryFolder();
  const path = () => join(folder(), 'store.db');
  const fatal: Error[] = [];
  let queue: WriteQueue;
  const start = async (script: URL) => {
    fatal.length = 0;
    queue = await WriteQueue.start(script, { path: path(), marker: null }, (error) => fatal.push(error));
  };
  afterEach(() => queue.close());

  it('resolves each command with its changed rows after the commit', async () => {
    await start(WRITER);
    const rows = await queue.write(insert('a'));
    const row = { id: 'a', status: 'pending', stage: 'ready', attempt: 0, original_kept: 0, audience: null };
    expect(rows).to.deep.equal([row]);
    const reader = openForReading(path());
    expect(reader.prepare('SELECT count(*) AS rows FROM tasks').get()).to.include({ rows: 1 });
    reader.close();
    expect(await queue.write({ statement: 'forget', parameters: { id: 'nobody' } })).to.deep.equal([]);
  });

  it('rejects only the failing command of a group', async () => {
    await start(WRITER);
    const ids = ['a', 'b', 'b', 'c'];
    const outcomes = await Promise.allSettled(ids.map((id) => queue.write(insert(id))));
    expect(outcomes.map((outcome) => outcome.status)).to.deep.equal([
      'fulfilled',
      'fulfilled',
      'rejected',
      'fulfilled',
    ]);
    expect(await codeOf(queue.write(insert('c')))).to.contain('UNIQUE');
  });

  it('commits commands that came before close, and refuses later ones', async () => {
    await start(WRITER);
    const ids = Array.from({ length: 100 }, (_, index) => `task-${index}`);
    const writes = ids.map((id) => queue.write(insert(id)));
    await queue.close();
    expect((await Promise.all(writes)).length).to.equal(100);
    expect(await codeOf(queue.write(insert('late')))).to.contain('The store is closed.');
    expect(fatal).to.deep.equal([]);
  });

  it('rejects all waiting commands, and calls onFatal once, when the thread dies', async () => {
    await start(DYING);
    const outcomes = await Promise.allSettled([queue.write(insert('a')), queue.write(insert('b'))]);
    expect(outcomes.map((outcome) => outcome.status)).to.deep.equal(['rejected', 'rejected']);
    expect(await codeOf(queue.write(insert('c')))).to.contain('The thread that writes the store ended');
    expect(fatal.map((error) => error.message)).to.deep.equal(['The thread that writes the store ended: out of order']);
  });

  it('rejects with the cause when the store cannot be opened', async () => {
    await start(WRITER);
    const data = { path: join(folder(), 'missing', 'store.db'), marker: null };
    const error: unknown = await WriteQueue.start(WRITER, data, () => undefined).catch((reason: unknown) => reason);
    expect(error).to.include({ code: 'BAD_REQUEST' });
    expect(String(error)).to.contain('ENOENT');
  });
});
