import { expect } from 'chai';
import { beginJob } from '../../../tasks/support.ts';
import {
  type Answer,
  ask,
  expectNothingLeft,
  type Fixture,
  jpeg,
  problemOf,
  startFixture,
  taskOf,
} from '../http-fixture.ts';

/** A part of a form: its header lines, and its content. */
type RawPart = readonly [head: string, content: string | Uint8Array];

const OCTETS = 'Content-Type: application/octet-stream';

function named(name: string, ...lines: string[]): string {
  return [`Content-Disposition: form-data; name="${name}"`, ...lines].join('\r\n');
}

function formBytes(parts: readonly RawPart[]): Buffer {
  const chunks = parts.flatMap(([head, content]) => [`--b\r\n${head}\r\n\r\n`, content, '\r\n']);
  return Buffer.concat([...chunks, '--b--\r\n'].map((chunk) => Buffer.from(chunk)));
}

describe('the parts of an uploaded form', () => {
  let fixture: Fixture;
  let picture: Buffer;
  let image: RawPart;
  const half: RawPart = [named('scale_factor'), '0.5'];

  before(async () => {
    fixture = await startFixture();
    picture = await jpeg();
    image = ['Content-Disposition: form-data; name="image"; filename="cat.jpg"\r\nContent-Type: image/jpeg', picture];
  });

  after(() => fixture.stop());

  afterEach(async () => {
    for (const { id } of fixture.tasks.records.waiting()) {
      await fixture.tasks.cancel(id);
      await fixture.tasks.forget(id);
    }
    await expectNothingLeft(fixture);
  });

  function post(parts: readonly RawPart[], path = '/upload', method = 'POST'): Promise<Answer> {
    const headers = { 'Content-Type': 'multipart/form-data; boundary=b' };
    return ask(fixture, { method, path, headers, body: formBytes(parts) });
  }

  /** The outputs that the form's task is to make. */
  async function outputsOf(parts: readonly RawPart[]): Promise<unknown> {
    const answer = await post(parts);
    expect(answer.status, answer.body.toString()).equal(202);
    const { task_id } = taskOf(answer);
    const { specs } = await beginJob(fixture.tasks, task_id);
    await fixture.tasks.cancel(task_id);
    await fixture.tasks.forget(task_id);
    return JSON.parse(JSON.stringify(specs));
  }

  const grey = [
    { name: 'resize', operation: 'resize', scale_factor: 0.5, grayscale: true },
    { name: 'classify', operation: 'classify', top_k: 5 },
  ];
  for (const head of [
    named('grayscale', OCTETS),
    named('grayscale', 'Content-Type: application/octet-stream; charset=utf-8', 'Content-Transfer-Encoding: binary'),
    named('grayscale', 'Content-Type: application/json', 'Content-Transfer-Encoding: 8BIT'),
    named('grayscale', 'Content-Type: image/jpeg'),
    named('grayscale', 'Content-Type: nonsense', 'Content-ID: <1>', 'Content-Length: 4'),
    `content-type: text/plain\r\nCONTENT-DISPOSITION: Form-Data; Name=grayscale`,
    `Content-Disposition: form-data; name="grayscale"; filename="blob"\r\n${OCTETS}`,
    'Content-Disposition: form-data; name="grayscale"; filename="grayscale.txt"\r\nContent-Type: text/plain',
    `Content-Disposition: form-data; name="grayscale"; filename=""\r\n${OCTETS}`,
    'Content-Disposition: form-data; name="grayscale"; filename*=UTF-8\'\'a.txt',
  ]) {
    it(`are read as the field they name: ${JSON.stringify(head)}`, async () => {
      expect(await outputsOf([image, half, [head, 'true']])).deep.equal(grey);
      expect(await outputsOf([[head, 'true'], half, image])).deep.equal(grey);
    });
  }

  for (const [charset, bytes] of [
    ['utf-8', Buffer.from('\ufefftrue')],
    ['utf-16le', Buffer.from('true', 'utf16le')],
    ['iso-8859-1', Buffer.from('true\xa0', 'latin1')],
  ] as const) {
    it(`are read in ${charset}`, async () => {
      const part: RawPart = [named('grayscale', `Content-Type: text/plain; charset="${charset}"`), bytes];
      expect(await outputsOf([image, half, part])).deep.equal(grey);
    });
  }

  for (const [what, parts, detail] of [
    ['an unknown octet field', () => [image, half, [named('gray', OCTETS), 'true']], /received 'gray'$/],
    [
      'an unknown Blob',
      () => [image, half, ['Content-Disposition: form-data; name="gray"; filename="blob"', '1']],
      /one named 'gray'$/,
    ],
    [
      'a second image without a name',
      () => [image, half, [named('image', OCTETS), picture]],
      /^Expected a file for image/,
    ],
    [
      'a first image without a name',
      () => [[named('image', OCTETS), picture], image, half],
      /^Expected a file for image/,
    ],
    [
      'an image without a name',
      () => [[named('image', 'Content-Type: image/jpeg'), picture], half],
      /^Expected a file for image/,
    ],
    [
      'a field twice, once as octets',
      () => [image, half, [named('scale_factor', OCTETS), '0.25']],
      /^Expected one value for scale_factor/,
    ],
    ['a part without headers', () => [image, half, ['X: y', 'true']], /^Expected Content-Disposition: form-data/],
    [
      'an attachment',
      () => [image, half, ['Content-Disposition: attachment; name="grayscale"', 'true']],
      /received 'attachment/,
    ],
    [
      'a field in base64',
      () => [image, half, [named('grayscale', 'Content-Transfer-Encoding: base64'), 'dHJ1ZQ==']],
      /Content-Transfer-Encoding for grayscale/,
    ],
    [
      'a nested multipart',
      () => [image, half, [named('grayscale', 'Content-Type: multipart/mixed; boundary=c'), '--c--']],
      /for grayscale, received '--c--'$/,
    ],
  ] satisfies readonly (readonly [string, () => RawPart[], RegExp])[]) {
    it(`refuse the form by name: ${what}`, async () => {
      const problem = problemOf(await post(parts()));
      expect(problem.code).equal('BAD_REQUEST');
      expect(problem.detail).match(detail);
    });
  }

  it('that are blank and known are not given', async () => {
    const blanks = ['width', 'height', 'fit', 'format', 'outputs', 'preset', 'url', 'circle', 'top_k', 'grayscale'];
    const parts = blanks.map((name): RawPart => [named(name), name === 'fit' ? ' ' : '']);
    const expected = [{ name: 'resize', operation: 'resize', scale_factor: 0.5 }, grey[1]];
    expect(await outputsOf([image, half, ...parts])).deep.equal(expected);
    expect(await outputsOf([...parts, half, image])).deep.equal(expected);
  });

  it('may be a blank file input beside a url', async () => {
    const blank: RawPart = [`Content-Disposition: form-data; name="image"; filename=""\r\n${OCTETS}`, ''];
    const answer = await post([blank, half, [named('url'), 'http://127.0.0.1:1/cat.jpg']]);
    expect(answer.status).equal(202);
    expect(taskOf(answer).input.source_url).equal('http://127.0.0.1:1/cat.jpg');
    await fixture.tasks.wait(taskOf(answer).task_id, 10_000, new AbortController().signal);
    await fixture.tasks.forget(taskOf(answer).task_id);
  });

  it('of a query that are blank are not given', async () => {
    const path = '/upload?scale_factor=0.5&width=&url=&format=';
    const answer = await ask(fixture, {
      method: 'POST',
      path,
      headers: { 'Content-Type': 'image/jpeg' },
      body: picture,
    });
    expect(answer.status, answer.body.toString()).equal(202);
  });

  it('of a snippet: a picture without a file name is refused, and blank boxes are none', async () => {
    const boxes: RawPart = [named('Boxes', OCTETS), '[{"X":1,"Y":2,"W":3,"H":4}]'];
    const refused = problemOf(await post([[named('image', OCTETS), picture], boxes], '/snippets/9/', 'PUT'));
    expect(refused.detail).match(/^Expected a file for image/);
    const unread = problemOf(await post([[named('Boxes[0][X]'), '1']], '/snippets/9/', 'PUT'));
    expect(unread.detail).match(/for Boxes\[0\]\[X\], received '1'$/);
    expect(problemOf(await post([[named('Boxes'), ' ']], '/snippets/9/', 'PUT')).code).equal('BAD_REQUEST');
    expect((await post([boxes], '/snippets/9/', 'PUT')).body.toString()).contain('"boxes":[{"X":1,"Y":2,"W":3,"H":4}]');
  });
});
