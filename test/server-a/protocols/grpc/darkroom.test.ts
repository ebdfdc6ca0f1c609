import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { readdir, readlink } from 'node:fs/promises';
import { join } from 'node:path';
import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises';
import { status } from '@grpc/grpc-js';
import { expect } from 'chai';
import { z } from 'zod';
import { SMALL_PICTURE_BYTES } from '../../../../server-a/pictures/new-picture.ts';
import {
  beginJob,
  CLASSIFY,
  discardTask,
  failed,
  LABELS,
  makePicture,
  RESIZE,
  storeOutput,
  submitPicture,
} from '../../tasks/support.ts';
import { expectNothingLeft } from '../http/http-fixture.ts';
import { collect, failureOf, type GrpcClient } from './grpc-client.ts';
import { shareFixture, startFixture } from './grpc-fixture.ts';

const UNKNOWN_ID = 'V1StGXR8_Z5jdHi6B-myT';

const taskSchema = z.looseObject({ task_id: z.string(), status: z.string(), attempts: z.number() });
const headerSchema = z.object({
  part: z.literal('picture'),
  picture: z.object({ media_type: z.string(), bytes: z.number(), sha256: z.string() }),
});
const chunkSchema = z.object({ chunk: z.instanceof(Buffer) });

/** Sends options, then the chunks, and ends. */
function submit(client: GrpcClient, options: object, ...chunks: Uint8Array[]): Promise<object> {
  const { call, answer } = client.clientStream('Submit');
  call.write({ options });
  for (const chunk of chunks) call.write({ chunk });
  call.end();
  return answer;
}

describe('darkroom.v1.Darkroom', () => {
  describe('Submit', () => {
    const fixture = shareFixture();

    it('makes a task from chunks, the same as over any protocol', async () => {
      const { darkroom, tasks } = fixture();
      const picture = await makePicture();
      const [head, tail] = [picture.subarray(0, 20), picture.subarray(20)];
      const options = {
        filename: 'cat.png',
        bytes: picture.length,
        resize: { box: { width: 4, fit: 'FIT_COVER' }, encoding: { format: 'FORMAT_WEBP', quality: 70 } },
        circle: { size: 5 },
        classify: {},
      };
      const task = taskSchema.parse(await submit(darkroom, options, head, Buffer.alloc(0), tail));
      const record = tasks.get(task.task_id);
      expect(task).to.deep.include({ status: 'TASK_STATUS_PENDING', outputs: [], attempts: 0 });
      expect(task['input']).to.deep.include({
        filename: 'cat.png',
        format: 'FORMAT_PNG',
        width: 8,
        height: 6,
        bytes: picture.length,
        sha256: createHash('sha256').update(picture).digest('hex'),
      });
      expect(record.input.filename).to.equal('cat.png');
      const job = await beginJob(tasks, task.task_id);
      expect(job.specs).to.deep.equal([
        { name: 'resize', operation: 'resize', width: 4, fit: 'cover', format: 'webp', quality: 70, grayscale: false },
        { name: 'circle', operation: 'circle', size: 5 },
        { name: 'classify', operation: 'classify', top_k: 5 },
      ]);
      await discardTask(tasks, task.task_id);
    });

    it('sends created_at to the millisecond', async () => {
      const { darkroom, tasks } = fixture();
      const task = taskSchema.parse(await submit(darkroom, { classify: {} }, await makePicture()));
      const { seconds, nanos } = z.object({ seconds: z.number(), nanos: z.number() }).parse(task['created_at']);
      const { created_at } = tasks.get(task.task_id);
      expect(new Date(seconds * 1000 + nanos / 1_000_000).toISOString()).to.equal(created_at);
      await discardTask(tasks, task.task_id);
    });

    const refused: readonly (readonly [name: string, options: object, details: RegExp])[] = [
      [
        'no output',
        {},
        /^Expected outputs, presets, or at least one of resize, circle and classify in the options, received none of them$/,
      ],
      ['a factor beyond 10', { resize: { scale_factor: 11 } }, /a number in \(0, 10\] for scale_factor, received 11/],
      ['a factor of 0', { resize: { scale_factor: 0 } }, /a number in \(0, 10\] for scale_factor, received 0/],
      ['an infinite factor', { resize: { scale_factor: Infinity } }, /scale_factor/],
      ['a resize without a size', { resize: {} }, /a box with width or height, for resize, received neither$/],
      ['an empty box', { resize: { box: {} } }, /scale_factor, or a box/],
      ['a width of 0', { resize: { box: { width: 0 } } }, /a whole number in \[1, 16384\] for width, received 0/],
      [
        'a width beyond 16384',
        { resize: { box: { width: 16_385 } } },
        /a whole number in \[1, 16384\] for width, received 16385/,
      ],
      ['a circle without a size', { circle: {} }, /a whole number in \[1, 16384\] for size, received 0/],
      [
        'a JPEG circle',
        { circle: { size: 9, encoding: { format: 'FORMAT_JPEG' } } },
        /one of png, webp, avif for format, received 'jpeg'/,
      ],
      [
        'a quality of 101',
        { circle: { size: 9, encoding: { quality: 101 } } },
        /a whole number in \[1, 100\] for quality, received 101/,
      ],
      ['an unknown format', { circle: { size: 9, encoding: { format: 99 } } }, /one of FORMAT_JPEG, .*received 99/],
      ['a top_k of 101', { classify: { top_k: 101 } }, /a whole number in \[1, 100\] for top_k, received 101/],
    ];
    for (const [name, options, details] of refused) {
      it(`refuses ${name} before the picture`, async () => {
        const { call, answer } = fixture().darkroom.clientStream('Submit');
        call.write({ options });
        const failure = await failureOf(answer);
        expect([failure.code, failure.darkroom]).to.deep.equal([status.INVALID_ARGUMENT, 'BAD_REQUEST']);
        expect(failure.details).to.match(details);
      });
    }

    it('refuses a stream that starts with a chunk, options twice, an empty message, and an empty stream', async () => {
      const { darkroom } = fixture();
      const sequences = [[{ chunk: Buffer.from('x') }], [{ options: { classify: {} } }, { options: {} }], [{}], []];
      for (const messages of sequences) {
        const { call, answer } = darkroom.clientStream('Submit');
        for (const message of messages) call.write(message);
        call.end();
        expect((await failureOf(answer)).darkroom).to.equal('BAD_REQUEST');
      }
      await expectNothingLeft(fixture());
    });

    it('refuses a missing, an empty, a too large and a truncated picture, and stores nothing', async () => {
      const { darkroom } = fixture();
      const options = { classify: {} };
      const chunk = Buffer.alloc(1024 * 1024);
      (await makePicture()).copy(chunk);
      const answers = [
        submit(darkroom, options, Buffer.from('no picture, but some text of its own')),
        submit(darkroom, options),
        submit(darkroom, options, ...Array.from({ length: 12 }, () => chunk)),
        submit(darkroom, { ...options, bytes: 2 ** 50 }),
        submit(darkroom, { ...options, bytes: 100_000 }, await makePicture()),
      ];
      const codes = (await Promise.all(answers.map(failureOf))).map(({ darkroom: code }) => code);
      expect(codes).to.deep.equal([
        'UNSUPPORTED_IMAGE',
        'BAD_REQUEST',
        'PAYLOAD_TOO_LARGE',
        'PAYLOAD_TOO_LARGE',
        'BAD_REQUEST',
      ]);
      await expectNothingLeft(fixture());
    });

    it('refuses a picture that needs more memory than Server B has, and stores nothing', async () => {
      const { darkroom, tasks } = fixture();
      tasks.dispatcher.target = { memoryBytes: 1000, enqueue: () => undefined, cancel: () => undefined };
      const failure = await failureOf(submit(darkroom, { classify: {} }, await makePicture()));
      tasks.dispatcher.target = { enqueue: () => undefined, cancel: () => undefined };
      expect(failure.darkroom).to.equal('IMAGE_TOO_LARGE');
      expect(failure.details).to.match(
        /^Expected .* at most 1000 bytes .* \(--memory-mb\), received one that takes \d+$/,
      );
      await expectNothingLeft(fixture());
    });

    it('accepts a chunk of 4 MiB, and refuses a longer message without closing the connection', async () => {
      const { darkroom, tasks } = fixture();
      const picture = await makePicture();
      const long = Buffer.concat([picture, Buffer.alloc(4 * 1024 * 1024 - picture.length)]);
      const first = taskSchema.parse(await submit(darkroom, { classify: {} }, long));
      expect(first.status).to.equal('TASK_STATUS_PENDING');
      const failure = await failureOf(submit(darkroom, { classify: {} }, Buffer.alloc(5 * 1024 * 1024)));
      expect(failure.code).to.equal(status.RESOURCE_EXHAUSTED);
      const second = taskSchema.parse(await submit(darkroom, { classify: {} }, picture));
      expect(second.status).to.equal('TASK_STATUS_PENDING');
      for (const { task_id } of [first, second]) await discardTask(tasks, task_id);
    });

    it('stores nothing when a client cancels, dies or exceeds its deadline half-way', async () => {
      const { darkroom, client } = fixture();
      const cancelled = darkroom.clientStream('Submit');
      const late = darkroom.clientStream('Submit', { deadline: Date.now() + 300 });
      const dying = client('darkroom.v1.Darkroom');
      const died = dying.clientStream('Submit');
      const picture = await makePicture();
      for (const { call } of [cancelled, late, died]) {
        call.write({ options: { classify: {} } });
        await new Promise((resolve) => call.write({ chunk: picture.subarray(0, 30) }, resolve));
      }
      cancelled.call.cancel();
      died.call.cancel();
      dying.close();
      const failures = await Promise.all([cancelled, late, died].map(({ answer }) => failureOf(answer)));
      const codes = [status.CANCELLED, status.DEADLINE_EXCEEDED, status.CANCELLED];
      expect(failures.map(({ code }) => code)).to.deep.equal(codes);
      await expectNothingLeft(fixture());
      expect(fixture().lines.filter(({ level }) => Number(level) >= 40)).to.deep.equal([]);
    });
  });

  describe('Get and Cancel', () => {
    const fixture = shareFixture();

    it('answer with a task of any protocol', async () => {
      const { darkroom, tasks } = fixture();
      const { task_id } = await submitPicture(tasks, [RESIZE]);
      const got = await darkroom.unary('Get', { task_id });
      expect(got).to.include({ task_id, status: 'TASK_STATUS_PENDING' });
      expect(await darkroom.unary('Cancel', { task_id })).to.include({ task_id, status: 'TASK_STATUS_CANCELED' });
      expect(tasks.get(task_id).status).to.equal('canceled');
      expect(await darkroom.unary('Cancel', { task_id })).to.include({ status: 'TASK_STATUS_CANCELED' });
    });

    it('return timings, warnings, and each output with its own outcome', async () => {
      const { darkroom, tasks } = fixture();
      const { task_id } = await submitPicture(tasks, [RESIZE, CLASSIFY]);
      const job = await beginJob(tasks, task_id);
      const resize = await storeOutput(tasks, job, await makePicture());
      const outputs = [resize, failed('circle', 'too slow'), LABELS];
      await tasks.records.complete(job, outputs, { decode_ms: 1.5 }, ['Repaired.']);
      const task = taskSchema.parse(await darkroom.unary('Get', { task_id }));
      expect(task['timings']).to.include({ decode_ms: 1.5 });
      expect(task).to.deep.include({
        status: 'TASK_STATUS_COMPLETED',
        result: `/result/${task_id}`,
        warnings: ['Repaired.'],
        attempts: 1,
        outputs: [
          {
            name: 'resize',
            operation: 'OPERATION_RESIZE',
            operation_name: 'resize',
            outcome: 'picture',
            picture: {
              format: 'FORMAT_PNG',
              width: 4,
              height: 3,
              frames: 1,
              bytes: resize.header.kind === 'picture' ? resize.header.bytes : 0,
              url: `/result/${task_id}/resize`,
            },
          },
          {
            name: 'circle',
            operation: 'OPERATION_CIRCLE',
            operation_name: 'circle',
            outcome: 'error',
            error: { code: 'TIMEOUT', message: 'too slow' },
          },
          {
            name: 'classify',
            operation: 'OPERATION_CLASSIFY',
            operation_name: 'classify',
            outcome: 'labels',
            labels: {
              model: 'test',
              labels: [{ index: 281, wnid: 'n02123045', label: 'tabby', probability: 0.5 }],
            },
          },
        ],
      });
    });

    it('answer NOT_FOUND for any other id', async () => {
      const { darkroom } = fixture();
      for (const task_id of [UNKNOWN_ID, '', '../../etc/passwd', '\uD800 half a pair']) {
        for (const method of ['Get', 'Cancel']) {
          const failure = await failureOf(darkroom.unary(method, { task_id }));
          expect([failure.code, failure.darkroom]).to.deep.equal([status.NOT_FOUND, 'TASK_NOT_FOUND']);
        }
      }
    });
  });

  describe('Watch', () => {
    const fixture = shareFixture();

    it('sends each state until the task ends, then ends the stream', async () => {
      const { darkroom, tasks } = fixture();
      const { task_id } = await submitPicture(tasks);
      const watched = darkroom.serverStream('Watch', { task_id });
      const states = collect(watched);
      await once(watched, 'metadata');
      const job = await beginJob(tasks, task_id);
      await tasks.records.fail(job, { code: 'IMAGE_CORRUPT', message: 'Expected a whole picture, received half' });
      const seen = (await states).map((task) => taskSchema.parse(task));
      expect(seen.map((task) => task.status)).to.deep.equal([
        'TASK_STATUS_PENDING',
        'TASK_STATUS_PROCESSING',
        'TASK_STATUS_FAILED',
      ]);
      expect(seen[2]?.['error']).to.deep.equal({
        code: 'IMAGE_CORRUPT',
        message: 'Expected a whole picture, received half',
      });
    });

    it('sends an ended task once', async () => {
      const { darkroom, tasks } = fixture();
      const { task_id } = await submitPicture(tasks);
      await tasks.cancel(task_id);
      expect(await collect(darkroom.serverStream('Watch', { task_id }))).to.have.length(1);
    });

    it('fails for an unknown task', async () => {
      const watched = collect(fixture().darkroom.serverStream('Watch', { task_id: UNKNOWN_ID }));
      expect((await failureOf(watched)).darkroom).to.equal('TASK_NOT_FOUND');
    });

    it('ends when the client cancels, at its deadline, and when the server shuts down, with DRAINING', async () => {
      const own = await startFixture();
      const { darkroom, tasks, protocol } = own;
      const { task_id } = await submitPicture(tasks);
      const [left, late, told] = [{}, { deadline: Date.now() + 200 }, {}].map((options) =>
        darkroom.serverStream('Watch', { task_id }, options),
      );
      if (!left || !late || !told) throw new Error('Expected three streams');
      const ends = [left, late, told].map((stream) => failureOf(collect(stream)));
      await once(left, 'metadata');
      left.cancel();
      expect((await ends[0])?.code).to.equal(status.CANCELLED);
      expect((await ends[1])?.code).to.equal(status.DEADLINE_EXCEEDED);
      const closed = protocol.close(5000);
      expect(await ends[2]).to.include({ code: status.UNAVAILABLE, darkroom: 'DRAINING' });
      darkroom.close();
      await closed;
      await own.stop();
    });
  });

  describe('Result', () => {
    const fixture = shareFixture();

    it('streams a whole picture, after its size and hash', async () => {
      const { darkroom, tasks } = fixture();
      const { task_id } = await submitPicture(tasks);
      const job = await beginJob(tasks, task_id);
      const bytes = randomBytes(3_000_001);
      await tasks.records.complete(job, [await storeOutput(tasks, job, bytes)], {});
      for (const name of ['', 'resize']) {
        const [header, ...chunks] = await collect(darkroom.serverStream('Result', { task_id, name }));
        const { picture } = headerSchema.parse(header);
        const received = Buffer.concat(chunks.map((message) => chunkSchema.parse(message).chunk));
        const sha256 = createHash('sha256').update(bytes).digest('hex');
        expect(picture).to.deep.equal({ media_type: 'image/png', bytes: bytes.length, sha256 });
        expect(received.equals(bytes)).to.equal(true);
      }
    });

    it('sends labels in one message', async () => {
      const { darkroom, tasks } = fixture();
      const { task_id } = await submitPicture(tasks, [CLASSIFY]);
      await tasks.records.complete(await beginJob(tasks, task_id), [LABELS], {});
      const messages = await collect(darkroom.serverStream('Result', { task_id, name: 'classify' }));
      expect(messages).to.deep.equal([
        {
          part: 'labels',
          labels: { model: 'test', labels: [{ index: 281, wnid: 'n02123045', label: 'tabby', probability: 0.5 }] },
        },
      ]);
    });

    it('fails with the reason when there is no result', async () => {
      const { darkroom, tasks } = fixture();
      const { task_id } = await submitPicture(tasks);
      const ask = (name: string) => failureOf(collect(darkroom.serverStream('Result', { task_id, name })));
      expect(await ask('')).to.include({ code: status.FAILED_PRECONDITION, darkroom: 'NOT_READY' });
      const job = await beginJob(tasks, task_id);
      await tasks.records.complete(job, [failed('resize', 'too slow'), LABELS], {});
      expect(await ask('resize')).to.include({ code: status.DEADLINE_EXCEEDED, darkroom: 'TIMEOUT' });
      expect(await ask('circle')).to.include({ code: status.NOT_FOUND, darkroom: 'NOT_FOUND' });
    });

    it('waits for a slow client, buffers little for it, and closes the file when the client cancels', async () => {
      const { darkroom, tasks } = fixture();
      const { task_id } = await submitPicture(tasks);
      const job = await beginJob(tasks, task_id);
      const bytes = Buffer.alloc(64 * 1024 * 1024, 7);
      await tasks.records.complete(job, [await storeOutput(tasks, job, bytes)], {});
      const before = process.memoryUsage().arrayBuffers;
      const stream = darkroom.serverStream('Result', { task_id });
      const ended = failureOf(once(stream, 'end'));
      stream.pause();
      await once(stream, 'metadata');
      for (let call = 0; call < 20; call += 1) await darkroom.unary('Get', { task_id });
      expect(process.memoryUsage().arrayBuffers - before).to.be.lessThan(bytes.length / 2);
      stream.cancel();
      expect((await ended).code).to.equal(status.CANCELLED);
    });

    it('closes the file when the client cancels before the first message', async function () {
      if (!existsSync('/proc/self/fd')) this.skip();
      const { darkroom, tasks } = fixture();
      const { task_id } = await submitPicture(tasks);
      const job = await beginJob(tasks, task_id);
      await tasks.records.complete(job, [await storeOutput(tasks, job, randomBytes(SMALL_PICTURE_BYTES + 1))], {});
      const path = join(fixture().dataDir, 'spool', `${task_id}.1.resize`);
      // Node emits a warning when it garbage-collects a file handle that was not closed.
      const warnings: Error[] = [];
      const keep = (warning: Error) => warnings.push(warning);
      process.on('warning', keep);
      // The client cancels at each step of the server, until the answer has begun.
      for (let turns = 0; turns < 40; turns += 1) {
        const stream = darkroom.serverStream('Result', { task_id });
        const ended = failureOf(once(stream, 'end'));
        for (let turn = 0; turn < turns; turn += 1) await nextTurn();
        stream.cancel();
        await ended;
      }
      while ((await openCount(path)) > 0) await sleep(5);
      process.off('warning', keep);
      expect(warnings).to.deep.equal([]);
    });
  });
});

/** Number of this process's open descriptors of the file. */
async function openCount(path: string): Promise<number> {
  const names = await readdir('/proc/self/fd');
  const targets = await Promise.all(names.map((name) => readlink(`/proc/self/fd/${name}`).catch(() => '')));
  return targets.filter((target) => target === path).length;
}
