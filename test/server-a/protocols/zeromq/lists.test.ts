import { execFile } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { expect } from 'chai';
import { Subscriber } from 'zeromq';
import type { Backend } from '../../../../server-a/dispatch/lanes.ts';
import { repositoryPath } from '../../../support/repository.ts';
import { requireTool } from '../../../support/required-tool.ts';
import { type PictureServer, startPictureServer } from './picture-server.ts';
import {
  answerOf,
  ask,
  type Fixture,
  isSilent,
  messages,
  openRequest,
  startFixture,
  startServerB,
  subscribe,
} from './zeromq-fixture.ts';

const run = promisify(execFile);

describe('ZeroMQ lists of URLs', function () {
  this.timeout(180_000);
  let pictures: PictureServer;
  let serverB: { backend: Backend; stop: () => Promise<void> };
  let fixture: Fixture;

  before(async () => {
    serverB = await startServerB();
    pictures = await startPictureServer();
    fixture = await startFixture({}, serverB.backend);
  });

  after(async () => {
    await fixture.stop();
    await pictures.stop();
    await serverB.stop();
  });

  /** Subscribes, sends a list at once, and returns the messages that were published for it. */
  async function classify(urls: readonly string[]): Promise<Record<string, unknown>[]> {
    const subscriber = subscribe(fixture.pubAddress);
    try {
      const answer = await ask(fixture.address, { urls });
      expect(answer).to.deep.equal({ status: 'received', num_urls: urls.length });
      return await messages(subscriber, urls.length);
    } finally {
      subscriber.close();
    }
  }

  it('get one message for each URL: its class, or the error', async () => {
    const url = (path: string) => `${pictures.url}/${path}`;
    const closed = 'http://127.0.0.1:1/closed';
    const urls = [url('red'), url('missing'), url('empty'), url('green?b=1'), closed, 'no url at all', '', url('blue')];
    const published = await classify(urls);
    expect(published.map((message) => message['url'])).to.have.members(urls);
    const classes = published.filter((message) => 'class' in message);
    expect(classes).to.have.deep.members([
      { url: url('red'), class: 'red' },
      { url: url('green?b=1'), class: 'green' },
      { url: url('blue'), class: 'blue' },
    ]);
    for (const message of published) {
      if ('class' in message) continue;
      expect(message).to.have.all.keys('url', 'error');
      expect(message['error']).to.be.a('string').and.not.be.empty;
    }
  });

  it('get exactly one message for each time that a URL is listed', async () => {
    const subscriber = subscribe(fixture.pubAddress);
    const red = `${pictures.url}/red`;
    await ask(fixture.address, { urls: [red, red, 'x', 'x', red] });
    const published = await messages(subscriber, 5);
    expect(published.map((message) => message['url'])).to.have.members([red, red, red, 'x', 'x']);
    expect(await isSilent(subscriber)).to.equal(true);
    subscriber.close();
  });

  it('count as empty when they are missing', async () => {
    for (const request of [{}, { urls: [] }, { urls: null }, { other: 'member' }]) {
      expect(await ask(fixture.address, request)).to.deep.equal({ status: 'received', num_urls: 0 });
    }
  });

  it('are refused completely for an entry that is not a text, and for more than 10,000 entries', async () => {
    const cases = [
      [[`${pictures.url}/red`, 5], 'Expected a text of at most 65536 characters for urls[1], received 5'],
      [[null], 'Expected a text of at most 65536 characters for urls[0], received null'],
      ['http://127.0.0.1/', "Expected a list of at most 10000 texts for urls, received 'http://127.0.0.1/'"],
      [Array(10_001).fill('x'), "Expected a list of at most 10000 texts for urls, received '10001 entries'"],
    ];
    for (const [urls, message] of cases) {
      expect(await ask(fixture.address, { urls })).to.deep.equal({ status: 'error', message });
    }
    expect(fixture.tasks.counts()).to.include({ pending: 0, processing: 0 });
  });

  it('are answered at once while a hundred URLs hang', async () => {
    const subscriber = subscribe(fixture.pubAddress);
    const hanging = Array.from({ length: 100 }, (_, index) => `${pictures.url}/hang?${index}`);
    expect(await ask(fixture.address, { urls: hanging })).to.include({ num_urls: 100 });
    const clients = Array.from({ length: 20 }, () => openRequest(fixture.address));
    for (const client of clients) await client.send('{"operation": "retrieve", "image_id": "x"}');
    for (const client of clients) expect(await answerOf(client)).to.include({ status: 'error' });
    for (const client of clients) client.close();
    expect(fixture.tasks.counts()).to.include({ pending: 100 });
    pictures.answerAll();
    const published = await messages(subscriber, 100);
    expect(published.map((message) => message['url'])).to.have.members(hanging);
    subscriber.close();
  });

  it('reach a client that subscribes just before it sends, without loss, in 100 runs of 100', async () => {
    // The task for an invalid URL ends at once, so its message is the easiest to miss.
    for (let round = 0; round < 100; round += 1) {
      const urls = [`no-url-${round}`];
      expect((await classify(urls)).map((message) => message['url'])).to.deep.equal(urls);
    }
  });

  it('reach such a client in Python in 100 runs of 100', async function () {
    const python = process.env['DARKROOM_PYTHON'] ?? 'python3';
    requireTool(this, [python, '-c', 'import zmq'], 'DARKROOM_REQUIRE_PYTHON');
    const script = repositoryPath('test/server-a/protocols/zeromq/fixtures/hundred_runs.py');
    const { stdout } = await run(python, [script, fixture.address, fixture.pubAddress]);
    expect(stdout).to.equal('100\n');
  });

  it('reach many such clients at once', async () => {
    const lists = Array.from({ length: 25 }, (_, client) => [0, 1, 2].map((index) => `client-${client}-${index}`));
    const clients = lists.map(async (urls) => {
      const subscriber = subscribe(fixture.pubAddress);
      await ask(fixture.address, { urls });
      const awaited = new Set(urls);
      while (awaited.size > 0) for (const { url } of await messages(subscriber, 1)) awaited.delete(String(url));
      subscriber.close();
    });
    await Promise.all(clients);
  });

  it('of many URLs reach a client that does not read until all tasks have ended', async () => {
    const subscriber = new Subscriber({ linger: 0, receiveTimeout: 10_000, receiveHighWaterMark: 1 });
    subscriber.receiveBufferSize = 4096;
    subscriber.subscribe();
    subscriber.connect(fixture.pubAddress);
    // Together larger than what the system and ZeroMQ hold by default.
    const urls = Array.from({ length: 1200 }, (_, index) => `no-url-${index}`.padEnd(8192, '-'));
    await ask(fixture.address, { urls });
    while (fixture.tasks.counts().pending > 0) await sleep(50);
    const published = await messages(subscriber, urls.length);
    expect(new Set(published.map((message) => message['url'])).size).to.equal(urls.length);
    subscriber.close();
  });

  it('interrupted by a shutdown are published after the next start', async () => {
    const hanging = await startPictureServer();
    const { dataDir, zeromqPort, zeromqPubPort } = fixture.settings;
    const subscriber = subscribe(fixture.pubAddress);
    await ask(fixture.address, { urls: ['gone', `${hanging.url}/hang`] });
    await fixture.stop('keep');
    hanging.answerAll();
    fixture = await startFixture({ dataDir, zeromqPort, zeromqPubPort }, serverB.backend);
    const published = await messages(subscriber, 2);
    expect(published.map((message) => message['url'])).to.have.members(['gone', `${hanging.url}/hang`]);
    expect(await isSilent(subscriber)).to.equal(true);
    subscriber.close();
    await hanging.stop();
  });
});
