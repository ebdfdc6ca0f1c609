import { getEventListeners } from 'node:events';
import type { Socket } from 'node:net';
import type { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { brotliCompressSync, deflateRawSync, deflateSync, gzipSync } from 'node:zlib';
import { expect } from 'chai';
import { fetchPicture } from '../../../server-a/fetch-url/fetch-picture.ts';
import type { Resolve } from '../../../server-a/fetch-url/resolve.ts';
import { expectCode } from '../../support/expect-code.ts';
import { openSource, type Source, whole } from '../../support/source.ts';

const LIMITS = { maxBytes: 100_000, seconds: 10, allowPrivate: true };
/** Seconds, enough to reach the point where the server stays silent. */
const SHORT = { ...LIMITS, seconds: 0.3 };
const PICTURE = 'these bytes stand for a picture';

describe('fetchPicture', () => {
  let source: Source;
  let controller: AbortController;
  const fetch = (path: string, limits = LIMITS, resolve?: Resolve) =>
    fetchPicture(`${source.origin}${path}`, limits, controller.signal, resolve);
  const read = async (path: string, limits = LIMITS) => {
    const { body } = await fetch(path, limits);
    return (await buffer(body)).toString('latin1');
  };

  before(async () => {
    source = await openSource((path, socket) => {
      const answer = ANSWERS[path.split('?')[0] ?? ''] ?? say('404 Not Found', {}, 'no');
      answer(socket, source);
    });
  });

  beforeEach(() => {
    controller = new AbortController();
  });

  afterEach('leaves neither a connection nor a listener', async () => {
    await source.quiet();
    expect(getEventListeners(controller.signal, 'abort')).to.have.length(0);
  });

  after(() => source.close());

  describe('of an existing picture', () => {
    it('returns its bytes, the declared length and the name in the URL', async () => {
      const { body, bytes, filename } = await fetch('/whole/a%20cat.jpg?size=1#top');
      expect(bytes).to.equal(PICTURE.length);
      expect(filename).to.equal('a cat.jpg');
      expect((await buffer(body)).toString()).to.equal(PICTURE);
    });

    it('returns no length for a chunked body, and no name for a path without one', async () => {
      const { body, bytes, filename } = await fetch('/');
      expect([bytes, filename]).to.deep.equal([null, null]);
      expect((await buffer(body)).toString()).to.equal(PICTURE);
    });

    it('accepts a body that ends with the connection', async () => {
      expect(await read('/until-close')).to.equal(PICTURE);
    });

    for (const path of ['gzip', 'x-gzip', 'deflate', 'raw-deflate', 'br', 'gzip-chunked', 'twice']) {
      it(`decodes a body that is encoded although that was not asked for, ${path}`, async () => {
        const { body, bytes } = await fetch(`/encoded/${path}`);
        expect(bytes).to.equal(null);
        expect((await buffer(body)).toString()).to.equal(PICTURE);
      });
    }

    it('keeps folders and control characters out of the name', async () => {
      const { body, filename } = await fetch('/whole/..%2f..%5cc%00at%0a.jpg');
      body.destroy();
      expect(filename).to.equal('cat.jpg');
    });

    it('connects over IPv6', async () => {
      const ipv6 = await openSource((_path, socket) => socket.end(whole('200 OK', {}, PICTURE)), '::1');
      try {
        const { body } = await fetchPicture(`${ipv6.origin}/cat.jpg`, LIMITS, controller.signal);
        expect((await buffer(body)).toString()).to.equal(PICTURE);
        await ipv6.quiet();
      } finally {
        await ipv6.close();
      }
    });

    it('sends one request with a fixed user agent and no encoding, and closes the connection', async () => {
      const before = source.requests.length;
      await read('/whole/cat.jpg?a=b');
      const [request, ...more] = source.requests.slice(before);
      expect(more).to.have.length(0);
      expect(request).to.match(/^GET \/whole\/cat\.jpg\?a=b HTTP\/1\.1\r\n/);
      expect(request).to.include(`host: 127.0.0.1:${source.port}\r\n`);
      expect(request).to.include('user-agent: Darkroom/0.1\r\n');
      expect(request).to.include('accept-encoding: identity\r\n');
      expect(request).to.match(/connection: close\r\n/i);
    });

    it('ignores a proxy in the environment', async () => {
      const names = ['http_proxy', 'HTTP_PROXY', 'all_proxy', 'NODE_USE_ENV_PROXY'];
      for (const name of names) process.env[name] = name === 'NODE_USE_ENV_PROXY' ? '1' : 'http://127.0.0.1:9';
      try {
        expect(await read('/whole/cat.jpg')).to.equal(PICTURE);
      } finally {
        for (const name of names) delete process.env[name];
      }
    });
  });

  describe('of an invalid URL or without a picture', () => {
    for (const text of ['', 'cat.jpg', '/cat.jpg', 'http://', 'http://a b/', 'http://256.1.1.1/', 'http://[::1/']) {
      it(`refuses '${text}', which is not a URL`, async () => {
        await expectCode('BAD_REQUEST', fetchPicture(text, LIMITS, controller.signal));
      });
    }

    for (const text of [
      'ftp://a.example/cat.jpg',
      'file:///etc/passwd',
      'data:image/png;base64,AA',
      'blob:http://a/b',
    ]) {
      it(`refuses ${text}`, async () => {
        await expectCode('URL_NOT_ALLOWED', fetchPicture(text, LIMITS, controller.signal));
      });
    }

    it('refuses credentials, and does not repeat them in the message', async () => {
      const message = await expectCode(
        'URL_NOT_ALLOWED',
        fetchPicture('http://me:secret@a.example/', LIMITS, controller.signal),
      );
      expect(message).not.to.match(/me:|secret/);
    });

    for (const status of [201, 204, 206, 300, 304, 400, 403, 404, 410, 429, 500, 503]) {
      it(`fails with status ${status} in the message`, async () => {
        const message = await expectCode('SOURCE_ERROR', read(`/status/${status}`));
        expect(message).to.include(`${status}`);
      });
    }

    for (const path of ['/empty/declared', '/empty/chunked', '/empty/until-close']) {
      it(`refuses an empty body, ${path.slice(7)}`, async () => {
        await expectCode('SOURCE_ERROR', read(path));
      });
    }

    for (const path of ['/encoded/not', '/encoded/cut', '/encoded/unknown', '/encoded/thrice', '/encoded/transfer']) {
      it(`refuses a body that it cannot decode, ${path}`, async () => {
        await expectCode('SOURCE_ERROR', read(path));
      });
    }

    for (const path of ['/encoded/bomb', '/encoded/bomb-in-bomb', '/encoded/bomb-of-br']) {
      it(`stops at the byte limit of what it decodes, ${path}`, async () => {
        await expectCode('PAYLOAD_TOO_LARGE', read(path));
      });
    }
  });

  describe('from a faulty server', () => {
    for (const path of ['/broken/short', '/broken/cut-chunks', '/broken/reset']) {
      it(`fails for a truncated body, ${path}`, async () => {
        await expectCode('SOURCE_ERROR', read(path));
      });
    }

    for (const path of [
      '/broken/nothing',
      '/broken/no-http',
      '/broken/two-lengths',
      '/broken/bad-length',
      '/broken/head',
      '/broken/upgrade',
    ]) {
      it(`fails for ${path}`, async () => {
        await expectCode('SOURCE_ERROR', fetch(path));
      });
    }

    it('accepts no more bytes than declared', async () => {
      expect(await read('/broken/long')).to.equal(PICTURE);
    });

    it('reports a refused connection without its address', async () => {
      const gone = await openSource(() => {});
      await gone.close();
      const refused = fetchPicture(`http://source.example:${gone.port}/`, LIMITS, controller.signal, async () => [
        { address: '127.0.0.1', family: 4 },
      ]);
      const message = await expectCode('SOURCE_ERROR', refused);
      expect(message)
        .to.include('a refused connection')
        .and.not.match(/127|ECONN/);
    });

    it('reports a name that does not resolve', async () => {
      const lost = fetchPicture('http://source.invalid/', LIMITS, controller.signal, async () => {
        throw Object.assign(new Error('getaddrinfo ENOTFOUND source.invalid'), { code: 'ENOTFOUND' });
      });
      expect(await expectCode('SOURCE_ERROR', lost)).to.include('does not resolve');
    });

    it('reports a failed body to a reader that starts later, too', async () => {
      const { body } = await fetch('/broken/short');
      body.read(0);
      await closed(body);
      await expectCode('SOURCE_ERROR', buffer(body));
    });
  });

  describe('of too many bytes', () => {
    it('refuses a declared length', async () => {
      await expectCode('PAYLOAD_TOO_LARGE', fetch('/size/declared'));
    });

    it('stops an endless body', async () => {
      await expectCode('PAYLOAD_TOO_LARGE', read('/size/endless'));
    });

    it('accepts exactly the allowed number', async () => {
      expect(await read('/size/100000')).to.have.length(100_000);
      await expectCode('PAYLOAD_TOO_LARGE', read('/size/100001'));
    });

    it('buffers all bytes for a reader that starts after the connection has closed', async () => {
      const { body } = await fetch('/size/1000000', { ...LIMITS, maxBytes: 1_000_000 });
      await source.quiet();
      expect(await buffer(body)).to.have.length(1_000_000);
    });
  });

  describe('with a time limit', () => {
    it('ends for a silent server', async () => {
      expect(await expectCode('SOURCE_TIMEOUT', fetch('/silent', SHORT))).to.include('0.3 seconds');
    });

    it('ends for a server that sends single bytes slowly', async () => {
      await expectCode('SOURCE_TIMEOUT', read('/drip', SHORT));
    });

    it('ends for a server that sends endless headers', async () => {
      await expectCode('SOURCE_TIMEOUT', fetch('/drip-head', SHORT));
    });

    it('ends for a body that stops, even without a reader', async () => {
      const { body } = await fetch('/stalled', SHORT);
      await closed(body);
      await expectCode('SOURCE_TIMEOUT', buffer(body));
    });

    it('counts the time of redirects', async () => {
      await expectCode('SOURCE_TIMEOUT', fetch('/redirect/slow', SHORT));
    });

    it('ends for a silent name server', async () => {
      const { silent, answer } = silentNameServer();
      await expectCode('SOURCE_TIMEOUT', fetchPicture('http://a.example/', SHORT, controller.signal, silent));
      answer();
    });

    it('does not count the time that it waits for other lookups', async () => {
      const { silent, answer } = silentNameServer();
      const lost = ['http://a.example/', 'http://b.example/'].map((url) =>
        expectCode('SOURCE_TIMEOUT', fetchPicture(url, SHORT, controller.signal, silent)),
      );
      const { port } = new URL(source.origin);
      const local = async () => [{ address: '127.0.0.1', family: 4 }];
      const behind = fetchPicture(`http://c.example:${port}/whole/cat.jpg`, SHORT, controller.signal, local);
      await Promise.all(lost);
      answer();
      expect((await buffer((await behind).body)).length).to.be.above(0);
    });

    it('ends for a host that does not accept the connection', async () => {
      // TLS starts with bytes from the client. This server never answers them.
      const mute = await openSource(() => {});
      try {
        const url = `https://127.0.0.1:${mute.port}/`;
        await expectCode('SOURCE_TIMEOUT', fetchPicture(url, SHORT, controller.signal));
        await mute.quiet();
      } finally {
        await mute.close();
      }
    });
  });

  describe('whose signal aborts', () => {
    const reason = new Error('the caller went away');
    const expectReason = async (promise: Promise<unknown>) => {
      expect(await promise.catch((error: unknown) => error)).to.equal(reason);
    };

    it('does not connect', async () => {
      controller.abort(reason);
      const before = source.requests.length;
      await expectReason(fetch('/whole/cat.jpg'));
      expect(source.requests.length).to.equal(before);
    });

    it('rejects with the reason while it waits for the headers', async () => {
      const waiting = fetch('/silent');
      await sleep(50);
      controller.abort(reason);
      await expectReason(waiting);
    });

    it('ends the body with the reason', async () => {
      const { body } = await fetch('/drip');
      const reading = buffer(body);
      controller.abort(reason);
      await expectReason(reading);
    });

    it('closes the connection when the body is destroyed', async () => {
      const { body } = await fetch('/size/endless');
      body.destroy();
      await source.quiet();
    });
  });

  describe('through redirects', () => {
    for (const status of [301, 302, 303, 307, 308]) {
      it(`follows ${status}`, async () => {
        expect(await read(`/redirect/${status}`)).to.equal(PICTURE);
      });
    }

    it('follows three redirects with relative paths, and keeps the first name', async () => {
      const { body, filename } = await fetch('/redirect/three');
      expect((await buffer(body)).toString()).to.equal(PICTURE);
      expect(filename).to.equal('three');
    });

    it('follows neither a fourth redirect nor a loop', async () => {
      expect(await expectCode('SOURCE_ERROR', fetch('/redirect/four'))).to.include('redirects');
      const before = source.requests.length;
      await expectCode('SOURCE_ERROR', fetch('/redirect/loop'));
      expect(source.requests.length - before).to.equal(4);
    });

    it('does not send cookies to the next host', async () => {
      const before = source.requests.length;
      await read('/redirect/302');
      expect(source.requests.slice(before).join('')).not.to.match(/cookie|referer/i);
    });

    for (const path of ['/redirect/nowhere', '/redirect/no-url']) {
      it(`fails for ${path}`, async () => {
        await expectCode('SOURCE_ERROR', fetch(path));
      });
    }

    for (const path of ['/redirect/file', '/redirect/credentials']) {
      it(`refuses ${path}`, async () => {
        await expectCode('URL_NOT_ALLOWED', fetch(path));
      });
    }

    it('looks up every host', async () => {
      const names: string[] = [];
      const url = `http://one.example:${source.port}/redirect/name`;
      const { body } = await fetchPicture(url, LIMITS, controller.signal, async (hostname) => {
        names.push(hostname);
        return [{ address: '127.0.0.1', family: 4 }];
      });
      expect((await buffer(body)).toString()).to.equal(PICTURE);
      expect(names).to.deep.equal(['one.example', 'two.example']);
    });
  });

  describe('of a host that is not public', () => {
    const publicOnly = { ...LIMITS, allowPrivate: false };

    it('refuses a name with a private address, without connecting, and does not reveal the address', async () => {
      const before = source.requests.length;
      const url = `http://intranet.example:${source.port}/whole/cat.jpg`;
      const refused = fetchPicture(url, publicOnly, controller.signal, async () => [
        { address: '127.0.0.1', family: 4 },
      ]);
      expect(await expectCode('URL_NOT_ALLOWED', refused)).not.to.include('127');
      expect(source.requests.length).to.equal(before);
    });

    it('refuses a name with one private address among public ones', async () => {
      const mixed = [
        { address: '93.184.216.34', family: 4 },
        { address: 'fe80::1%lo', family: 6 },
      ];
      await expectCode(
        'URL_NOT_ALLOWED',
        fetchPicture('http://a.example/', publicOnly, controller.signal, async () => mixed),
      );
    });

    it('looks up the addresses once, and connects to the checked ones', async () => {
      let asked = 0;
      const rebinding: Resolve = async () => {
        asked += 1;
        return [{ address: asked === 1 ? '127.0.0.1' : '127.0.0.2', family: 4 }];
      };
      const { body } = await fetchPicture(
        `http://a.example:${source.port}/whole/a`,
        LIMITS,
        controller.signal,
        rebinding,
      );
      expect((await buffer(body)).toString()).to.equal(PICTURE);
      expect(asked).to.equal(1);
    });

    it('refuses a name that the system resolves to loopback', async () => {
      await expectCode('URL_NOT_ALLOWED', fetch('/whole/cat.jpg', publicOnly));
      await expectCode(
        'URL_NOT_ALLOWED',
        fetchPicture(`http://localhost:${source.port}/`, publicOnly, controller.signal),
      );
    });

    it('connects to it when that is allowed, with the system’s own lookup', async () => {
      const { body } = await fetchPicture(`http://localhost:${source.port}/whole/a`, LIMITS, controller.signal);
      expect((await buffer(body)).toString()).to.equal(PICTURE);
    });
  });
});

/** A lookup that ends only when `answer` is called, without an address. */
function silentNameServer(): { silent: Resolve; answer: () => void } {
  const asked: (() => void)[] = [];
  const silent: Resolve = () => new Promise((resolve) => asked.push(() => resolve([])));
  const answer = () => {
    for (const end of asked) end();
  };
  return { silent, answer };
}

/** Resolves when the stream is closed, for any reason. */
function closed(stream: Readable): Promise<void> {
  return new Promise((resolve) => stream.once('close', () => resolve()));
}

type Answer = (socket: Socket, source: Source) => void;

const say =
  (status: string, headers: Readonly<Record<string, string | number>>, body = ''): Answer =>
  (socket) =>
    socket.end(whole(status, headers, body));
const encoded =
  (coding: string, body: Buffer): Answer =>
  (socket) => {
    socket.write(whole('200 OK', { 'Content-Encoding': coding, 'Content-Length': body.length }));
    socket.end(body);
  };
const redirect = (location: string, status = '302 Found'): Answer =>
  say(status, { Location: location, 'Set-Cookie': 'a=b', 'Content-Length': 2 }, 'no');
const picture = say('200 OK', { 'Content-Length': PICTURE.length }, PICTURE);

/** Writes repeatedly until the connection closes. */
function repeat(socket: Socket, text: string, milliseconds: number): void {
  const timer = setInterval(() => {
    if (!socket.writableNeedDrain) socket.write(text);
  }, milliseconds);
  socket.once('close', () => clearInterval(timer));
}

const ANSWERS: Readonly<Record<string, Answer>> = {
  '/': say('200 OK', { 'Transfer-Encoding': 'chunked' }, `${PICTURE.length.toString(16)}\r\n${PICTURE}\r\n0\r\n\r\n`),
  '/whole/a': picture,
  '/whole/cat.jpg': picture,
  '/whole/a%20cat.jpg': picture,
  '/whole/..%2f..%5cc%00at%0a.jpg': picture,
  '/until-close': say('200 OK', {}, PICTURE),
  ...Object.fromEntries(
    [201, 204, 206, 300, 304, 400, 403, 404, 410, 429, 500, 503].map((status) => [
      `/status/${status}`,
      say(
        `${status} Something`,
        { 'Content-Length': status === 204 ? 0 : PICTURE.length },
        status === 204 ? '' : PICTURE,
      ),
    ]),
  ),
  '/empty/declared': say('200 OK', { 'Content-Length': 0 }),
  '/empty/chunked': say('200 OK', { 'Transfer-Encoding': 'chunked' }, '0\r\n\r\n'),
  '/empty/until-close': say('200 OK', {}),
  '/encoded/gzip': encoded('gzip', gzipSync(PICTURE)),
  '/encoded/x-gzip': encoded('X-GZip', gzipSync(PICTURE)),
  '/encoded/deflate': encoded('deflate', deflateSync(PICTURE)),
  '/encoded/raw-deflate': encoded('deflate', deflateRawSync(PICTURE)),
  '/encoded/br': encoded('br', brotliCompressSync(PICTURE)),
  '/encoded/twice': encoded('identity, gzip, br', brotliCompressSync(gzipSync(PICTURE))),
  '/encoded/gzip-chunked': (socket) => {
    socket.write(whole('200 OK', { 'Content-Encoding': 'gzip', 'Transfer-Encoding': 'chunked' }));
    for (const byte of gzipSync(PICTURE)) socket.write(Buffer.from([0x31, 13, 10, byte, 13, 10]));
    socket.end('0\r\n\r\n');
  },
  '/encoded/not': encoded('gzip', Buffer.from(PICTURE)),
  '/encoded/cut': encoded('gzip', gzipSync(PICTURE).subarray(0, -9)),
  '/encoded/unknown': encoded('aws-chunked', Buffer.from(PICTURE)),
  '/encoded/thrice': encoded('gzip, gzip, gzip', gzipSync(gzipSync(gzipSync(PICTURE)))),
  '/encoded/bomb': encoded('gzip', gzipSync(Buffer.alloc(50_000_000))),
  '/encoded/bomb-in-bomb': encoded('gzip, gzip', gzipSync(gzipSync(Buffer.alloc(50_000_000)))),
  '/encoded/bomb-of-br': encoded('br', brotliCompressSync(Buffer.alloc(10_000_000))),
  '/encoded/transfer': say('200 OK', { 'Transfer-Encoding': 'gzip, chunked' }, `1\r\na\r\n0\r\n\r\n`),
  '/broken/short': say('200 OK', { 'Content-Length': 1000 }, PICTURE),
  '/broken/long': say('200 OK', { 'Content-Length': PICTURE.length }, `${PICTURE} and more, ${PICTURE}`),
  '/broken/cut-chunks': say('200 OK', { 'Transfer-Encoding': 'chunked' }, `ff\r\n${PICTURE}`),
  '/broken/reset': (socket) => {
    socket.write(whole('200 OK', { 'Content-Length': 1000 }, PICTURE));
    setTimeout(() => socket.resetAndDestroy(), 20);
  },
  '/broken/nothing': (socket) => socket.end(),
  '/broken/no-http': (socket) => socket.end('SSH-2.0-OpenSSH_9.6\r\n'),
  '/broken/two-lengths': say('200 OK', { 'Content-Length': '1\r\nContent-Length: 2' }, 'ab'),
  '/broken/bad-length': say('200 OK', { 'Content-Length': '-5' }, 'ab'),
  '/broken/head': say('200 OK', { 'X-Long': 'x'.repeat(100_000) }, PICTURE),
  '/broken/upgrade': say('101 Switching Protocols', { Connection: 'upgrade', Upgrade: 'websocket' }),
  '/size/declared': say('200 OK', { 'Content-Length': 100_001 }),
  '/size/endless': (socket) => {
    socket.write(whole('200 OK', {}));
    repeat(socket, 'x'.repeat(10_000), 1);
  },
  '/size/100000': say('200 OK', {}, 'x'.repeat(100_000)),
  '/size/1000000': say('200 OK', {}, 'x'.repeat(1_000_000)),
  '/size/100001': say('200 OK', {}, 'x'.repeat(100_001)),
  '/silent': () => {},
  '/drip': (socket) => {
    socket.write(whole('200 OK', {}));
    repeat(socket, 'x', 20);
  },
  '/drip-head': (socket) => {
    socket.write('HTTP/1.1 200 OK\r\n');
    repeat(socket, 'X-More: 1\r\n', 20);
  },
  '/stalled': (socket) => {
    socket.write(whole('200 OK', { 'Content-Length': 1000 }, PICTURE));
  },
  '/redirect/301': redirect('/whole/cat.jpg', '301 Moved Permanently'),
  '/redirect/302': redirect('/whole/cat.jpg'),
  '/redirect/303': redirect('/whole/cat.jpg', '303 See Other'),
  '/redirect/307': redirect('/whole/cat.jpg', '307 Temporary Redirect'),
  '/redirect/308': redirect('/whole/cat.jpg', '308 Permanent Redirect'),
  '/redirect/four': redirect('three'),
  '/redirect/three': redirect('two'),
  '/redirect/two': redirect('/redirect/302'),
  '/redirect/loop': redirect('/redirect/loop'),
  '/redirect/nowhere': say('302 Found', {}),
  '/redirect/no-url': redirect('http://[::1'),
  '/redirect/file': redirect('file:///etc/passwd'),
  '/redirect/credentials': (socket, source) => redirect(`http://a:b@127.0.0.1:${source.port}/whole/a`)(socket, source),
  '/redirect/slow': (socket, source) => {
    setTimeout(() => redirect('/redirect/slow')(socket, source), 120);
  },
  '/redirect/name': (socket, source) => redirect(`http://two.example:${source.port}/whole/a`)(socket, source),
};
