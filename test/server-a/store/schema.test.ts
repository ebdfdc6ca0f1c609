import { join } from 'node:path';
import { DatabaseSync } from '@photostructure/sqlite';
import { expect } from 'chai';
import { openForReading, openForWriting, prepareForWriting } from '../../../server-a/store/schema.ts';
import { useTemporaryFolder } from '../tasks/support.ts';

describe('schema', () => {
  const folder = useTemporaryFolder();
  const path = () => join(folder(), 'store.db');

  it('opens a new and an existing file in WAL mode with synchronous=FULL', () => {
    for (const _ of ['new', 'again']) {
      const database = openForWriting(path());
      expect(database.prepare('PRAGMA journal_mode').get()).to.include({ journal_mode: 'wal' });
      expect(database.prepare('PRAGMA synchronous').get()).to.include({ synchronous: 2 });
      database.close();
    }
  });

  it('refuses a store that cannot be in WAL mode', () => {
    expect(() => openForWriting(':memory:')).to.throw("Expected wal for the store's journal_mode, received memory");
  });

  it('refuses a store whose commits SQLite would not fsync', () => {
    const database = new DatabaseSync(path());
    const partial = new Proxy(database, {
      get: (target, name) => {
        if (name === 'exec') return (sql: string) => sql.includes('synchronous') || target.exec(sql);
        const value: unknown = Reflect.get(target, name, target);
        return typeof value === 'function' ? value.bind(target) : value;
      },
    });
    expect(() => prepareForWriting(partial)).to.throw("Expected 2 for the store's synchronous, received 1");
    database.close();
  });

  it('refuses a store of another version', () => {
    const database = openForWriting(path());
    database.exec('PRAGMA user_version = 8');
    database.close();
    expect(() => openForWriting(path())).to.throw("Expected 7 for the store's user_version, received 8");
    expect(() => openForReading(path())).to.throw("Expected 7 for the store's user_version, received 8");
  });

  it('refuses a file that is not a database', () => {
    const other = new DatabaseSync(path());
    other.close();
    expect(() => openForReading(path())).to.throw("Expected wal for the store's journal_mode");
  });

  it('cannot write through the reading connection', () => {
    openForWriting(path()).close();
    const reader = openForReading(path());
    expect(() => reader.exec('DELETE FROM tasks')).to.throw('readonly');
    reader.close();
  });
});
