import { crc32 } from 'node:zlib';
import { expect } from 'chai';
import sharp from 'sharp';
import type { ErrorCode } from '../../../../../shared/errors.ts';
import { avif, progressiveJpeg } from '../../../../support/large-headers.ts';
import {
  type Answer,
  ask,
  expectNothingLeft,
  type Fixture,
  FORM_TYPE,
  formBytes,
  jpeg,
  type Part,
  postForm,
  postRaw,
  problemOf,
  startFixture,
} from '../http-fixture.ts';

const HALF: Part = ['scale_factor', '0.5'];

/** A PNG's signature and header of 8-bit RGB, which claims any size. */
function pngHeader(width: number, height: number): Buffer {
  const header = Buffer.from('IHDR\0\0\0\0\0\0\0\0\x08\x02\0\0\0', 'latin1');
  header.writeUInt32BE(width, 4);
  header.writeUInt32BE(height, 8);
  const checksum = Buffer.alloc(4);
  checksum.writeUInt32BE(crc32(header) >>> 0);
  const signature = Buffer.from('\x89PNG\r\n\x1a\n\0\0\0\r', 'latin1');
  return Buffer.concat([signature, header, checksum, Buffer.from('\0\0\0\x09IDAT', 'latin1'), Buffer.alloc(300)]);
}

describe('a bad upload', () => {
  let fixture: Fixture;
  let picture: Buffer;
  let image: Part;

  before(async () => {
    fixture = await startFixture();
    picture = await jpeg();
    image = ['image', picture, 'cat.jpg'];
  });

  after(() => fixture.stop());

  // No test may leave a file on disk.
  afterEach(() => expectNothingLeft(fixture));

  function expectProblem(answer: Answer, code: ErrorCode, detail: RegExp): void {
    const problem = problemOf(answer);
    expect(problem.code).equal(code);
    expect(problem.detail).match(detail);
  }

  const forms: readonly (readonly [what: string, parts: () => Part[], code: ErrorCode, detail: RegExp])[] = [
    ['no image', () => [HALF], 'BAD_REQUEST', /^Expected a picture file for image, received nothing$/],
    ['two images', () => [image, HALF, image], 'BAD_REQUEST', /named image, received a second one$/],
    [
      'a file under another name',
      () => [['photo', picture, 'a.jpg'], HALF],
      'BAD_REQUEST',
      /received one named 'photo'$/,
    ],
    [
      'an image and another file',
      () => [image, HALF, ['b', picture, 'b.jpg']],
      'BAD_REQUEST',
      /received one named 'b'$/,
    ],
    ['a file input left blank', () => [['image', '', ''], HALF], 'BAD_REQUEST', /^Expected a picture file for image/],
    [
      'a picture without a file name',
      () => [['image', picture, ''], HALF],
      'BAD_REQUEST',
      /^Expected a file for image/,
    ],
    ['a text named image', () => [['image', 'cat.jpg'], HALF], 'BAD_REQUEST', /^Expected a file for image/],
    ['no operation', () => [image], 'BAD_REQUEST', /^Expected at least one of scale_factor, .* received none$/],
    ['classify=false alone', () => [image, ['classify', 'false']], 'BAD_REQUEST', /^Expected at least one of/],
    ['a factor given twice', () => [image, HALF, HALF], 'BAD_REQUEST', /^Expected one value for scale_factor/],
    ['a factor with a width', () => [image, HALF, ['width', '9']], 'BAD_REQUEST', /received both$/],
    ['an unknown field', () => [image, HALF, ['scale', '1']], 'BAD_REQUEST', /for a field's name, received 'scale'$/],
    ['an array field', () => [image, ['width[]', '9']], 'BAD_REQUEST', /^Expected one value for width/],
    ['an object field', () => [image, ['width[a]', '9']], 'BAD_REQUEST', /^Expected one value for width/],
    ['wait in the form', () => [image, HALF, ['wait', '1']], 'BAD_REQUEST', /received 'wait'$/],
    ['__proto__', () => [image, HALF, ['__proto__', 'x']], 'BAD_REQUEST', /received '__proto__'$/],
    ['__proto__[x]', () => [image, HALF, ['__proto__[x]', 'x']], 'BAD_REQUEST', /received '__proto__\[x\]'$/],
    ['an unknown format', () => [image, HALF, ['format', 'bmp']], 'BAD_REQUEST', /for format, received 'bmp'$/],
    ['a field without a name', () => [image, ['', 'x']], 'BAD_REQUEST', /name/],
    ['a field of 10 MB', () => [['fit', 'x'.repeat(10_000_000)], image], 'PAYLOAD_TOO_LARGE', /at most \d+ bytes/],
    ['a field of 5 kB', () => [HALF, ['fit', 'x'.repeat(5000)], image], 'BAD_REQUEST', /short text for fit/],
    ['a name of 2 kB', () => [['x'.repeat(2000), '1'], image], 'BAD_REQUEST', /shorter name/],
    [
      '10,000 fields',
      () => [...Array<Part>(10_000).fill(['fit', '1']), image],
      'BAD_REQUEST',
      /received too many$|fewer fields/,
    ],
    ['a text file named cat.jpg', () => [['image', 'hello, world', 'cat.jpg'], HALF], 'UNSUPPORTED_IMAGE', /./],
    ['a file of 0 bytes', () => [['image', '', 'cat.jpg'], HALF], 'BAD_REQUEST', /^Expected at least one byte/],
    [
      'a picture over the limit',
      () => [['image', Buffer.concat([picture, Buffer.alloc(1024 * 1024)]), 'a.jpg'], HALF],
      'PAYLOAD_TOO_LARGE',
      /^Expected at most 1048576 bytes/,
    ],
    ['a far larger picture', () => [['image', Buffer.alloc(5_000_000), 'a.jpg'], HALF], 'PAYLOAD_TOO_LARGE', /./],
    [
      '60000×60000 pixels',
      () => [['image', pngHeader(60_000, 60_000), 'a.png'], HALF],
      'IMAGE_TOO_LARGE',
      /60000×60000/,
    ],
    [
      'a progressive JPEG of 56 megapixels',
      () => [
        ['image', progressiveJpeg(8640, 6480), 'a.jpg'],
        ['scale_factor', '1'],
      ],
      'IMAGE_TOO_LARGE',
      /--memory-mb/,
    ],
    [
      'an output over the limit',
      () => [
        ['image', pngHeader(9000, 9000), 'a.png'],
        ['scale_factor', '10'],
      ],
      'IMAGE_TOO_LARGE',
      /resize output/,
    ],
    [
      'an unreadable header',
      () => [['image', Buffer.from('\x89PNG\r\n\x1a\nrubbish', 'latin1'), 'a.png'], HALF],
      'IMAGE_CORRUPT',
      /./,
    ],
  ];
  for (const [what, parts, code, detail] of forms) {
    it(`gets ${code} for ${what}`, async () => expectProblem(await postForm(fixture, parts()), code, detail));
  }

  for (const text of ['0', '-1', '11', 'NaN', '1e309', 'abc']) {
    it(`gets BAD_REQUEST for scale_factor ${text}, before and after the picture and in the query`, async () => {
      const detail = new RegExp(`^Expected a number in \\(0, 10\\] for scale_factor, received '${text}'$`);
      expectProblem(await postForm(fixture, [image, ['scale_factor', text]]), 'BAD_REQUEST', detail);
      expectProblem(await postForm(fixture, [['scale_factor', text], image]), 'BAD_REQUEST', detail);
      expectProblem(await postRaw(fixture, `?scale_factor=${text}`, picture), 'BAD_REQUEST', detail);
    });
  }

  it('gets UNSUPPORTED_IMAGE for SVG with any file name', async () => {
    const svg = Buffer.from('<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>');
    expectProblem(await postRaw(fixture, '?circle=9', svg, 'image/svg+xml'), 'UNSUPPORTED_IMAGE', /SVG/);
    expectProblem(await postForm(fixture, [['image', svg, 'cat.jpg'], HALF]), 'UNSUPPORTED_IMAGE', /SVG/);
  });

  it('gets UNSUPPORTED_IMAGE for a video, with its name in the message', async () => {
    const video = Buffer.concat([Buffer.from('\0\0\0\x18ftypisom\0\0\0\0mp41mp42', 'latin1'), Buffer.alloc(1000)]);
    expectProblem(await postRaw(fixture, '?circle=9', video, 'image/heic'), 'UNSUPPORTED_IMAGE', /video/);
  });

  it('gets the same codes for a raw body', async () => {
    expectProblem(await postRaw(fixture, '', picture), 'BAD_REQUEST', /^Expected at least one of/);
    expectProblem(await postRaw(fixture, '?circle=9&circle=9', picture), 'BAD_REQUEST', /one value for circle/);
    expectProblem(await postRaw(fixture, '?circle=9&x[y]=1', picture), 'BAD_REQUEST', /received 'x\[y\]'$/);
    expectProblem(await postRaw(fixture, '?circle=9', Buffer.alloc(0)), 'BAD_REQUEST', /at least one byte/);
    expectProblem(await postRaw(fixture, '?circle=9', Buffer.alloc(2_000_000)), 'PAYLOAD_TOO_LARGE', /2000000$/);
    expectProblem(await postRaw(fixture, '?scale_factor=1', avif(4900, 3675)), 'IMAGE_TOO_LARGE', /--memory-mb/);
    const chunked = { 'Content-Type': 'image/jpeg', 'Transfer-Encoding': 'chunked' };
    const large = Buffer.concat([picture, Buffer.alloc(3_000_000)]);
    const answer = await ask(fixture, { method: 'POST', path: '/upload?circle=9', headers: chunked, body: large });
    expectProblem(answer, 'PAYLOAD_TOO_LARGE', /^Expected at most 1048576 bytes/);
  });

  it('gets BAD_REQUEST for a form with fields in the query', async () => {
    const body = formBytes([image]);
    const headers = { 'Content-Type': FORM_TYPE };
    const answer = await ask(fixture, { method: 'POST', path: '/upload?scale_factor=1', headers, body });
    expectProblem(answer, 'BAD_REQUEST', /^Expected only wait for the query beside a form, received 'scale_factor'$/);
  });

  const bodies: readonly (readonly [what: string, type: string, code: ErrorCode, detail: RegExp])[] = [
    ['a wrong boundary', 'multipart/form-data; boundary=other', 'BAD_REQUEST', /closing boundary/],
    ['no boundary', 'multipart/form-data', 'BAD_REQUEST', /^Expected a boundary/],
    ['another multipart', 'multipart/mixed; boundary=b', 'UNSUPPORTED_MEDIA_TYPE', /received 'multipart\/mixed'$/],
    ['form fields', 'application/x-www-form-urlencoded', 'UNSUPPORTED_MEDIA_TYPE', /urlencoded'$/],
    ['JSON', 'application/json', 'UNSUPPORTED_MEDIA_TYPE', /received 'application\/json'$/],
    ['a malformed type', ';;;', 'UNSUPPORTED_MEDIA_TYPE', /received none$/],
  ];
  for (const [what, type, code, detail] of bodies) {
    it(`gets ${code} for ${what}`, async () => {
      const headers = { 'Content-Type': type };
      const body = formBytes([image, HALF]);
      expectProblem(await ask(fixture, { method: 'POST', path: '/upload', headers, body }), code, detail);
    });
  }

  it('gets BAD_REQUEST for a missing body, and for an empty form', async () => {
    expectProblem(await ask(fixture, { method: 'POST', path: '/upload' }), 'BAD_REQUEST', /picture file for image/);
    const headers = { 'Content-Type': FORM_TYPE };
    expectProblem(await ask(fixture, { method: 'POST', path: '/upload', headers }), 'BAD_REQUEST', /./);
  });

  it('gets UNSUPPORTED_MEDIA_TYPE for a compressed body', async () => {
    const headers = { 'Content-Type': 'image/jpeg', 'Content-Encoding': 'gzip' };
    const answer = await ask(fixture, { method: 'POST', path: '/upload?circle=9', headers, body: picture });
    expectProblem(answer, 'UNSUPPORTED_MEDIA_TYPE', /^Expected no Content-Encoding .* received 'gzip'$/);
  });

  it('gets BAD_REQUEST for a form that stops anywhere before its closing boundary', async () => {
    const whole = formBytes([image, HALF]);
    const headers = { 'Content-Type': FORM_TYPE };
    const ends = [1, 30, 100, 150, 200, Math.floor(whole.length / 2), whole.length - 120, whole.length - 5];
    for (const end of ends) {
      const body = whole.subarray(0, end);
      const answer = await ask(fixture, { method: 'POST', path: '/upload', headers, body });
      expectProblem(answer, 'BAD_REQUEST', /^Expected /);
      await expectNothingLeft(fixture);
    }
  });

  it('gets BAD_REQUEST for endless part headers', async () => {
    const bomb = Buffer.from(`--b\r\nContent-Disposition: form-data; name="image"\r\n${'X: y\r\n'.repeat(5000)}\r\n`);
    const headers = { 'Content-Type': 'multipart/form-data; boundary=b' };
    expectProblem(
      await ask(fixture, { method: 'POST', path: '/upload', headers, body: bomb }),
      'BAD_REQUEST',
      /headers/,
    );
  });

  it('gets BAD_REQUEST for a text field of 10 MB, although a picture may be that large', async () => {
    const roomy = await startFixture({ maxUploadMb: 50 });
    try {
      const answer = await postForm(roomy, [['fit', 'x'.repeat(10_000_000)], image]);
      expectProblem(answer, 'BAD_REQUEST', /^Expected a short text for fit/);
      await expectNothingLeft(roomy);
    } finally {
      await roomy.stop();
    }
  });

  it('gets a refusal, not an internal error, for forms with flipped bytes', async () => {
    const whole = formBytes([['image', await sharp(picture).png().toBuffer(), 'a.png'], HALF]);
    const headers = { 'Content-Type': FORM_TYPE };
    for (let position = 0; position < 190; position += 3) {
      const body = Buffer.from(whole);
      body[position] = 0xff;
      const answer = await ask(fixture, { method: 'POST', path: '/upload', headers, body });
      expect(answer.status, String(position)).within(200, 499);
      if (answer.status < 300) await cancelAll();
    }
  });

  async function cancelAll(): Promise<void> {
    for (const { id } of fixture.tasks.records.waiting()) {
      await fixture.tasks.cancel(id);
      await fixture.tasks.forget(id);
    }
  }
});
