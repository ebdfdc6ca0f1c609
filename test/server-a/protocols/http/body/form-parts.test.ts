import { Readable, Transform } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { expect } from 'chai';
import fc from 'fast-check';
import { readBoundary, readParts } from '../../../../../server-a/protocols/http/body/form-parts.ts';
import { DarkroomError } from '../../../../../shared/errors.ts';

const LIMITS = { parts: 10, fieldNameSize: 20 };
const BOUNDARY = '-XrQHxml_qhW/dc2hip';

interface Given {
  readonly head: string;
  readonly content: Buffer;
}

function field(name: string, content: Buffer | string, more = ''): Given {
  return { head: `Content-Disposition: form-data; name="${name}"${more}`, content: Buffer.from(content) };
}

function formOf(parts: readonly Given[]): Buffer {
  const chunks = parts.flatMap(({ head, content }) => [`--${BOUNDARY}\r\n${head}\r\n\r\n`, content, '\r\n']);
  return Buffer.concat([...chunks, `--${BOUNDARY}--\r\n`].map((chunk) => Buffer.from(chunk)));
}

/** The body as a connection delivers it, in pieces of `size` bytes. */
function inPieces(body: Buffer, size: number): Readable {
  const pieces = Array.from({ length: Math.ceil(body.length / size) }, (_, at) =>
    body.subarray(at * size, (at + 1) * size),
  );
  const passed = new Transform({ transform: (chunk, _encoding, callback) => callback(null, chunk) });
  return Readable.from(pieces).pipe(passed);
}

interface Got {
  readonly name: string;
  readonly filename: string | null;
  readonly content: Buffer;
}

async function partsOf(body: Buffer, size = 65_536, boundary = BOUNDARY): Promise<Got[]> {
  const got: Got[] = [];
  await readParts(inPieces(body, size), boundary, LIMITS, async ({ name, filename }, content) => {
    got.push({ name, filename, content: await buffer(content) });
  });
  return got;
}

async function refusalOf(body: Buffer | string): Promise<string> {
  const error = await partsOf(Buffer.from(body)).then(
    () => null,
    (reason: unknown) => reason,
  );
  expect(error).instanceOf(DarkroomError).with.property('code', 'BAD_REQUEST');
  return error instanceof DarkroomError ? error.message : '';
}

describe('the parts of a form', () => {
  it('come whole and in order, wherever the body is split', async () => {
    const content = Buffer.from(`a\r\n--${BOUNDARY.slice(0, 5)}\r\n--\r\n\0`);
    const parts = [field('a', content), field('b', ''), field('c', content, '; filename="c.jpg"'), field('d', '1')];
    const body = Buffer.concat([Buffer.from('preamble\r\n'), formOf(parts), Buffer.from('epilogue')]);
    for (let size = 1; size <= body.length; size += size < 40 ? 1 : 17) {
      const got = await partsOf(body, size);
      expect(got.map(({ name }) => name).join(), String(size)).equal('a,b,c,d');
      expect(got.every((one, at) => one.content.equals(parts[at]?.content ?? Buffer.alloc(0)))).equal(true);
    }
  });

  it('come whole when they are far larger than the pieces', async () => {
    const sizes = fc.array(fc.integer({ min: 0, max: 200_000 }), { minLength: 1, maxLength: 5 });
    await fc.assert(
      fc.asyncProperty(sizes, fc.integer({ min: 10_000, max: 70_000 }), async (lengths, size) => {
        const parts = lengths.map((length, at) => field(`f${at}`, Buffer.alloc(length, at)));
        const got = await partsOf(formOf(parts), size);
        expect(got.map(({ content }) => content.length)).deep.equal(lengths);
      }),
      { numRuns: 40 },
    );
  });

  it('are read one after the other', async () => {
    let open = 0;
    await readParts(
      inPieces(formOf([field('a', '1'), field('b', '2')]), 65_536),
      BOUNDARY,
      LIMITS,
      async (_, content) => {
        open += 1;
        expect(open).equal(1);
        await buffer(content);
        open -= 1;
      },
    );
  });

  for (const [given, filename] of [
    ['; filename="cat.jpg"', 'cat.jpg'],
    ['; filename=cat.jpg', 'cat.jpg'],
    ['; filename=""', null],
    ['; filename="../../etc/passwd"', 'passwd'],
    ['; filename="C:\\Temp\\cat.jpg"', 'cat.jpg'],
    ['; filename="a%22b.jpg"', 'a"b.jpg'],
    ['; filename="貓.jpg"', '貓.jpg'],
    ["; filename=cat.jpg; filename*=UTF-8''%E8%B2%93.jpg", '貓.jpg'],
    ['; FileName="cat.jpg"', 'cat.jpg'],
    ['', null],
  ] as const) {
    it(`have the file name ${filename} for ${JSON.stringify(given)}`, async () => {
      const [got] = await partsOf(formOf([field('image', 'x', given)]));
      expect(got?.filename).equal(filename);
    });
  }

  it('have a Latin-1 file name', async () => {
    const [before = Buffer.alloc(0), after = Buffer.alloc(0)] = formOf([field('image', 'x', '; filename="caf#.jpg"')])
      .toString()
      .split('#')
      .map((half) => Buffer.from(half));
    const [got] = await partsOf(Buffer.concat([before, Buffer.from([0xe9]), after]));
    expect(got?.filename).equal('café.jpg');
  });

  for (const [what, part, expected] of [
    [
      'no headers',
      { head: 'X-Other: 1', content: Buffer.from('1') },
      /^Expected Content-Disposition: form-data .* received nothing$/,
    ],
    [
      'another disposition',
      { head: 'Content-Disposition: attachment; name="a"', content: Buffer.from('1') },
      /received 'attachment; name="a"'$/,
    ],
    [
      'two dispositions',
      {
        head: 'Content-Disposition: form-data; name="a"\r\nContent-Disposition: form-data; name="b"',
        content: Buffer.from('1'),
      },
      /^Expected Content-Disposition: form-data/,
    ],
    [
      'no name',
      { head: 'Content-Disposition: form-data; filename="a.jpg"', content: Buffer.from('1') },
      /^Expected a name for every part/,
    ],
    ['an empty name', field('', '1'), /^Expected a name for every part/],
    [
      'an open quote',
      { head: 'Content-Disposition: form-data; name="a', content: Buffer.from('1') },
      /^Expected a name for every part/,
    ],
    ['a long name', field('x'.repeat(21), '1'), /^Expected a shorter name/],
    [
      'base64',
      field('a', 'MQ==', '\r\nContent-Transfer-Encoding: base64'),
      /^Expected no Content-Transfer-Encoding for a, received 'base64'$/,
    ],
    [
      'an unknown charset',
      field('a', '1', '\r\nContent-Type: text/plain; charset=klingon'),
      /^Expected a known charset for a, received 'klingon'$/,
    ],
    ['100 headers', field('a', '1', '\r\nX: y'.repeat(100)), /^Expected shorter headers/],
    ['a header of 20 kB', field('a', '1', `\r\nX: ${'y'.repeat(20_000)}`), /^Expected shorter headers/],
  ] as const) {
    it(`refuse the form, by name, for ${what}`, async () => {
      expect(await refusalOf(formOf([field('first', '1'), part, field('last', '1')]))).match(expected);
    });
  }

  it('refuse the form when there are too many', async () => {
    expect(await refusalOf(formOf(Array.from({ length: 11 }, () => field('a', ''))))).match(/received too many$/);
  });

  it('refuse a form with bare LF as line ends, and one that ends too early', async () => {
    const form = formOf([field('a', '1')]).toString();
    expect(await refusalOf(form.replaceAll('\r\n', '\n'))).match(/^Expected .* with CR LF line ends/);
    expect(await refusalOf(form.slice(0, -10))).match(/closing boundary/);
    expect(await refusalOf(form.slice(0, 40))).match(/^Expected well-formed headers/);
  });

  it('end the body and wait for the reader when one is refused', async () => {
    const body = inPieces(formOf([field('a', Buffer.alloc(300_000)), field('b', '1')]), 10_000);
    const refusal = new Error('refused');
    let rejected: unknown = null;
    await readParts(body, BOUNDARY, LIMITS, async () => {
      throw refusal;
    }).catch((error: unknown) => {
      rejected = error;
    });
    expect(rejected).equal(refusal);
    expect(body.destroyed).equal(true);
  });

  it('may be refused when the whole body has arrived', async () => {
    // The second piece waits in the parser until the first has been read.
    const form = formOf([field('a', Buffer.alloc(23_000))]);
    const pieces = async function* () {
      yield form.subarray(0, 12_000);
      await new Promise((resolve) => setImmediate(resolve));
      yield form.subarray(12_000);
    };
    const body = Readable.from(pieces());
    const refusal = new Error('refused');
    const refused = readParts(body, BOUNDARY, LIMITS, async () => {
      while (!body.readableEnded) await new Promise((resolve) => setImmediate(resolve));
      throw refusal;
    });
    expect(await refused.catch((error: unknown) => error)).equal(refusal);
  });

  it('fail with the error of the body', async () => {
    const body = inPieces(formOf([field('a', Buffer.alloc(300_000))]), 10_000);
    const cut = new Error('cut');
    let rejected: unknown = null;
    await readParts(body, BOUNDARY, LIMITS, async (_, content) => {
      body.destroy(cut);
      await buffer(content);
    }).catch((error: unknown) => {
      rejected = error;
    });
    expect(rejected).equal(cut);
  });
});

describe('the boundary of a form', () => {
  for (const [type, boundary] of [
    ['multipart/form-data; boundary=-XrQHxml_qhW/dc2hip', '-XrQHxml_qhW/dc2hip'],
    ['multipart/form-data; boundary=a:b=c/d?e(f),g', 'a:b=c/d?e(f),g'],
    ['multipart/form-data; boundary="a b;c"', 'a b;c'],
    ['multipart/form-data;BOUNDARY=x; charset=utf-8', 'x'],
  ] as const) {
    it(`is read in ${type}`, () => {
      expect(readBoundary(type)).equal(boundary);
    });
  }

  for (const type of ['multipart/form-data', 'multipart/form-data; boundary=', 'multipart/form-data; boundary']) {
    it(`is missing in ${type}`, () => {
      expect(() => readBoundary(type)).throw(DarkroomError, /^Expected a boundary/);
    });
  }

  it('splits the form, also with characters that need quotes', async () => {
    const got = await partsOf(formOf([field('a', '1')]), 65_536, BOUNDARY);
    expect(got).deep.equal([{ name: 'a', filename: null, content: Buffer.from('1') }]);
  });
});
