import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'chai';
import type { ErrorCode } from '../../shared/errors.ts';
import {
  type Answer,
  ask,
  FORM_TYPE,
  formBytes,
  type Part,
  postForm,
  problemOf,
} from '../server-a/protocols/http/http-fixture.ts';
import { RawClient } from '../server-a/protocols/http/raw-client.ts';
import { box, bytes, chunk, pngStart } from '../support/hand-made.ts';
import { waves } from '../support/pictures.ts';
import { eventually } from '../support/processes.ts';
import { Service } from '../support/service.ts';

const HALF: Part = ['scale_factor', '0.5'];

describe('bad input to the running service', function () {
  this.timeout(180_000);
  let service: Service;
  let picture: Buffer;

  before(async () => {
    service = await Service.start({ flags: ['--max-upload-mb', '1'] });
    picture = await waves(200, 150).jpeg().toBuffer();
  });

  after(() => service.stop());

  // After any bad input, no file is left and the next request is served.
  afterEach(async () => {
    await eventually('no pictures', async () => ((await service.pictures()).length === 0 ? true : undefined));
    expect(await service.ready()).to.include({ status: 'ready', store: 'open', backend: 'up' });
  });

  const file = (content: string | Uint8Array, name = 'cat.jpg'): Part => ['image', content, name];
  const form = (...parts: Part[]) => postForm(service, parts);
  const withField = (...fields: Part[]) => form(file(picture), ...fields);
  const factor = (text: string) => withField(['scale_factor', text]);
  const request = (method: string, path: string) => ask(service, { method, path });

  const svg = '<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><rect width="9" height="9"/></svg>';
  const video = bytes(box('ftyp', 'isom', 0, 0, 0, 0, 'mp42'), Buffer.alloc(200));
  const huge = bytes(pngStart(60_000, 60_000, 8, 2), chunk('IDAT', Buffer.alloc(300)));

  const refusals: readonly (readonly [what: string, ask: () => Promise<Answer>, status: number, code: ErrorCode])[] = [
    ['no image', () => form(HALF), 400, 'BAD_REQUEST'],
    ['two images', () => form(file(picture), HALF, file(picture)), 400, 'BAD_REQUEST'],
    ['no operation', () => form(file(picture)), 400, 'BAD_REQUEST'],
    ['a factor of 0', () => factor('0'), 400, 'BAD_REQUEST'],
    ['a factor of -1', () => factor('-1'), 400, 'BAD_REQUEST'],
    ['a factor of 11', () => factor('11'), 400, 'BAD_REQUEST'],
    ['a factor of NaN', () => factor('NaN'), 400, 'BAD_REQUEST'],
    ['a factor of 1e309', () => factor('1e309'), 400, 'BAD_REQUEST'],
    ['a factor of abc', () => factor('abc'), 400, 'BAD_REQUEST'],
    ['an empty factor', () => factor(''), 400, 'BAD_REQUEST'],
    ['a factor given twice', () => withField(HALF, HALF), 400, 'BAD_REQUEST'],
    ['a factor together with a width', () => withField(HALF, ['width', '9']), 400, 'BAD_REQUEST'],
    ['an unknown field', () => withField(HALF, ['scale', '2']), 400, 'BAD_REQUEST'],
    ['an unknown format', () => withField(HALF, ['format', 'bmp']), 400, 'BAD_REQUEST'],
    ['a text file named cat.jpg', () => form(file('hello, world'), HALF), 415, 'UNSUPPORTED_IMAGE'],
    ['an SVG', () => form(file(svg, 'cat.svg'), HALF), 415, 'UNSUPPORTED_IMAGE'],
    ['a video', () => form(file(video, 'cat.heic'), HALF), 415, 'UNSUPPORTED_IMAGE'],
    ['a file of 0 bytes', () => form(file(''), HALF), 400, 'BAD_REQUEST'],
    ['a header that claims 60000×60000 pixels', () => form(file(huge), HALF), 413, 'IMAGE_TOO_LARGE'],
    ['a file over the limit', () => form(file(Buffer.alloc(3_000_000)), HALF), 413, 'PAYLOAD_TOO_LARGE'],
    ['an unknown id', () => service.get('/status/V1StGXR8_Z5jdHi6B-myT'), 404, 'TASK_NOT_FOUND'],
    ["an unknown id's result", () => service.get('/result/V1StGXR8_Z5jdHi6B-myT'), 404, 'TASK_NOT_FOUND'],
    ['an invalid id', () => service.get('/status/..%2F..%2Fetc%2Fpasswd'), 404, 'TASK_NOT_FOUND'],
    ['an id of a zero byte', () => service.get('/status/%00'), 404, 'TASK_NOT_FOUND'],
    ['an id that cannot be decoded', () => service.get('/status/%E0%A4%A'), 404, 'TASK_NOT_FOUND'],
    ['an unknown route', () => service.get('/uploads'), 404, 'NOT_FOUND'],
    ['a wrong method', () => request('PUT', '/upload'), 405, 'METHOD_NOT_ALLOWED'],
    ['a wrong boundary', () => postWithType('multipart/form-data; boundary=other'), 400, 'BAD_REQUEST'],
    ['a body that is not a form', () => postWithType('application/json'), 415, 'UNSUPPORTED_MEDIA_TYPE'],
  ];
  for (const [what, send, status, code] of refusals) {
    it(`${what} gets ${status} ${code}`, async () => {
      const answer = await send();
      expect([answer.status, problemOf(answer).code]).to.deep.equal([status, code]);
    });
  }

  function postWithType(type: string): Promise<Answer> {
    const body = formBytes([file(picture), HALF]);
    return ask(service, { method: 'POST', path: '/upload', headers: { 'Content-Type': type }, body });
  }

  it('a truncated JPEG is accepted, and its task fails with IMAGE_CORRUPT', async () => {
    const task = await service.run(picture.subarray(0, picture.length / 2), { scale_factor: '0.5' });
    expect([task.status, task.result, task.error?.code]).to.deep.equal(['failed', null, 'IMAGE_CORRUPT']);
    const answer = await service.get(`/result/${task.task_id}`);
    expect([answer.status, problemOf(answer).code]).to.deep.equal([422, 'IMAGE_CORRUPT']);
  });

  it('damaged pictures of all formats, all at once, fail with IMAGE_CORRUPT and only their own format', async () => {
    const formats = ['jpeg', 'png', 'webp', 'gif'] as const;
    const cut = await Promise.all(
      formats.map(async (format) => {
        const whole = await waves(200, 150).toFormat(format).toBuffer();
        return { format, body: whole.subarray(0, whole.length * 0.7) };
      }),
    );
    const bodies = [...cut, ...cut, ...cut];
    const tasks = await Promise.all(bodies.map(({ body }) => service.run(body, { scale_factor: '0.5' })));
    for (const [index, { error }] of tasks.entries()) {
      const message = `Expected a whole ${bodies[index]?.format} picture, received one that cannot be decoded`;
      expect(error).to.deep.equal({ code: 'IMAGE_CORRUPT', message });
    }
  });

  it('a picture whose faults cost no pixel is made as without them, and its record has warnings', async () => {
    const scan = picture.indexOf(bytes(0xff, 0xda));
    const faulty = bytes(picture.subarray(0, scan), 'stray', picture.subarray(scan, -2));
    const [sound, repaired] = await Promise.all(
      [picture, faulty].map((body) => service.run(body, { scale_factor: '0.5' })),
    );
    expect(sound).to.not.have.property('warnings');
    expect(repaired).to.deep.include({
      status: 'completed',
      warnings: ['Removed 5 stray bytes between JPEG segments.', 'Added the missing JPEG end marker.'],
    });
    const [expected, made] = await Promise.all([sound, repaired].map((task) => service.get(task?.result ?? '')));
    expect(made?.body).to.deep.equal(expected?.body);
    await Promise.all([sound, repaired].map((task) => service.delete(`/status/${task?.task_id}`)));
  });

  it('a connection that is cut at any point leaves no file', async () => {
    const body = formBytes([file(picture), HALF]);
    const head = `POST /upload HTTP/1.1\r\nHost: a\r\nContent-Type: ${FORM_TYPE}\r\nContent-Length: ${body.length}\r\n\r\n`;
    for (const share of [0, 0.1, 0.5, 0.99]) {
      const client = new RawClient(service);
      await client.write(Buffer.concat([Buffer.from(head), body.subarray(0, body.length * share)]));
      await sleep(20);
      client.socket.resetAndDestroy();
    }
  });

  it('a valid picture is processed afterwards', async () => {
    const task = await service.run(picture, { scale_factor: '0.5' });
    expect(task.status).to.equal('completed');
    await service.delete(`/status/${task.task_id}`);
  });
});
