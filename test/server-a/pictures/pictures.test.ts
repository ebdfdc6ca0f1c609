import { randomBytes } from 'node:crypto';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { DatabaseSync } from '@photostructure/sqlite';
import { expect } from 'chai';
import { SMALL_PICTURE_BYTES } from '../../../server-a/pictures/new-picture.ts';
import { Pictures } from '../../../server-a/pictures/pictures.ts';
import { Spool } from '../../../server-a/spool/spool.ts';
import type { Command } from '../../../server-a/store/statements.ts';
import { Store } from '../../../server-a/store/store.ts';
import { spoolFiles, storedNames } from '../../support/stored-pictures.ts';
import { codeOf, silent, useTemporaryFolder } from '../tasks/support.ts';

const ID = 'V1StGXR8_Z5jdHi6B-myT';
const OTHER = 'W1StGXR8_Z5jdHi6B-myT';

describe('pictures', () => {
  const folder = useTemporaryFolder();
  let store: Store;
  let spool: Spool;
  let pictures: Pictures;

  beforeEach(async () => {
    await mkdir(join(folder(), 'spool'));
    store = await Store.open(join(folder(), 'store.db'), silent, () => undefined);
    spool = await Spool.open(join(folder(), 'spool'), silent);
    pictures = new Pictures(store, spool);
  });
  afterEach(async () => {
    await spool.close();
    await store.close();
  });

  function insert(id: string, rows: Command['pictures'] = []): Command {
    const picture = { filename: null, header: '{}', bytes: 1, sha256: '' };
    const kept = { original_kept: 0, original_expires_at: null, snippet: null, boxes: null } as const;
    return { statement: 'insert', parameters: { id, ...picture, ...kept, specs: '[]', now: 0 }, pictures: rows };
  }

  /** Stores a task with this input. */
  async function put(id: string, bytes: Buffer): Promise<string> {
    const picture = pictures.create('input');
    await picture.write(bytes);
    await picture.seal();
    const name = `${id}.input`;
    await store.write(insert(id, await picture.place(name)));
    picture.keep();
    return name;
  }

  /** Reads a picture in pieces, each of which is copied before the next. */
  async function readAll(name: string, bytes: number): Promise<Buffer> {
    const pieces: Buffer[] = [];
    for await (const piece of pictures.read(name, bytes, Buffer.alloc(1000))) pieces.push(Buffer.from(piece));
    return Buffer.concat(pieces);
  }

  async function readBody(body: Buffer | Readable): Promise<Buffer> {
    return body instanceof Readable ? buffer(body) : body;
  }

  for (const length of [0, 1, SMALL_PICTURE_BYTES - 1, SMALL_PICTURE_BYTES, SMALL_PICTURE_BYTES + 1]) {
    it(`give back a picture of ${length} bytes: all, in pieces, and a range`, async () => {
      const bytes = randomBytes(length);
      const name = await put(ID, bytes);
      const isSmall = length <= SMALL_PICTURE_BYTES;
      expect([storedNames(folder()), await spoolFiles(folder())]).to.deep.equal(isSmall ? [[name], []] : [[], [name]]);
      expect(pictures.bytes).to.equal(length);
      const found = await pictures.find(name, length, 'picture');
      expect(found.size).to.equal(length);
      expect(bytes.equals(await buffer(await found.stream(1000)))).to.equal(true);
      expect(bytes.equals(await readAll(name, length))).to.equal(true);
      if (length < 2) return;
      const part = await readBody(await found.body({ start: 1, end: length - 2 }));
      expect(bytes.subarray(1, -1).equals(part)).to.equal(true);
    });
  }

  it('can be copied, and each copy is removed with its own record', async () => {
    for (const length of [1000, SMALL_PICTURE_BYTES + 1]) {
      const bytes = randomBytes(length);
      const name = await put(ID, bytes);
      const second = `${OTHER}.input`;
      const rows = await pictures.copy(name, second, length);
      await store.write(insert(OTHER, rows));
      expect(pictures.bytes).to.equal(2 * length);
      for (const id of [ID, OTHER]) {
        expect(bytes.equals(await readAll(`${id}.input`, length))).to.equal(true);
        await cancel(id);
        const [forgotten] = await store.write({ statement: 'forget', parameters: { id } });
        expect(forgotten?.id).to.equal(id);
      }
      expect(pictures.bytes).to.equal(0);
      expect([storedNames(folder()), await spoolFiles(folder())]).to.deep.equal([[], []]);
    }
  });

  async function cancel(id: string): Promise<void> {
    const end = {
      status: 'canceled',
      outputs: '[]',
      outputs_kept: 0,
      error: null,
      timings: '{}',
      warnings: '[]',
    } as const;
    const [changed] = await store.write({ statement: 'endOpen', parameters: { id, ...end, now: 0, expires_at: 0 } });
    if (changed !== undefined) await pictures.remove(changed, [`${id}.input`]);
  }

  it('are SPOOL_CORRUPT when they are missing, have another size, or cannot be read', async () => {
    const name = await put(ID, randomBytes(50_000));
    for (const bytes of [SMALL_PICTURE_BYTES + 1, 50_001]) {
      expect(await codeOf(pictures.find(name, bytes, 'picture'))).to.equal('SPOOL_CORRUPT');
    }
    for (const bytes of [10, SMALL_PICTURE_BYTES + 1]) {
      expect(await codeOf(pictures.find('missing', bytes, 'picture'))).to.equal('SPOOL_CORRUPT');
      expect(await codeOf(pictures.copy('missing', 'second', bytes))).to.equal('SPOOL_CORRUPT');
      expect(await codeOf(readAll('missing', bytes))).to.equal('SPOOL_CORRUPT');
    }
  });

  it('are written only with a record that has changed, all or none', async () => {
    const row = (name: string, size = 10) => ({ name, size, bytes: new Uint8Array(size) });
    const end = {
      status: 'completed',
      outputs: '[]',
      outputs_kept: 1,
      error: null,
      timings: '{}',
      warnings: '[]',
    } as const;
    const parameters = { id: ID, attempt: 1, ...end, now: 0, expires_at: 0 };
    expect(await store.write({ statement: 'endAttempt', parameters, pictures: [row('a')] })).to.deep.equal([]);
    const twice = [row('a'), row('b'), row('a')];
    const outcomes = await Promise.allSettled([
      store.write(insert(ID, twice)),
      store.write(insert(OTHER, [row('c', 7)])),
    ]);
    expect(outcomes.map(({ status }) => status)).to.deep.equal(['rejected', 'fulfilled']);
    expect(store.stateOf(ID)).to.equal(undefined);
    expect(storedNames(folder())).to.deep.equal(['c']);
    expect(pictures.bytes).to.equal(7);
  });

  it('move to the thread that writes them: a later record with the same ones is refused', async () => {
    const rows = [{ name: 'a', size: 3, bytes: new Uint8Array(3) }];
    const [first, second] = await Promise.allSettled([store.write(insert(ID, rows)), store.write(insert(OTHER, rows))]);
    expect([first?.status, second?.status]).to.deep.equal(['fulfilled', 'rejected']);
    expect(store.stateOf(OTHER)).to.equal(undefined);
    expect(pictures.bytes).to.equal(3);
  });

  it('are counted again at the next start', async () => {
    await put(ID, randomBytes(100));
    await store.close();
    store = await Store.open(join(folder(), 'store.db'), silent, () => undefined);
    expect(store.pictureBytes).to.equal(100);
  });

  it('give the room of a new store back, a part at a time', async () => {
    const count = 40;
    const rows = Array.from({ length: count }, (_, index) => ({
      name: `${ID}.1.a${index}`,
      size: 100_000,
      bytes: new Uint8Array(100_000),
    }));
    await store.write(insert(ID, rows));
    await cancel(ID);
    await store.write({ statement: 'forget', parameters: { id: ID } });
    const free = store.freePages;
    expect(free).to.be.greaterThan(900);
    await store.write({ statement: 'shrink', parameters: {} });
    expect(store.freePages).to.equal(free - 128);
    while (store.freePages > 0) await store.write({ statement: 'shrink', parameters: {} });
    await store.close();
    const database = new DatabaseSync(join(folder(), 'store.db'));
    expect(Number(database.prepare('PRAGMA page_count').get()?.['page_count'])).to.be.lessThan(100);
    database.close();
  });
});
