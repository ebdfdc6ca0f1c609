import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import sharp from 'sharp';
import { Request } from 'zeromq';
import { z } from 'zod';
import { DARKROOM, IMAGE_PROCESSOR, loadProtos } from '../../server-a/protocols/grpc/protos.ts';
import { type Task, taskIdSchema, taskSchema } from '../../shared/task.ts';
import { collect, GrpcClient } from '../server-a/protocols/grpc/grpc-client.ts';
import { WebSocketClient } from '../server-a/protocols/websocket/websocket-client.ts';
import type { EveryProtocol } from '../support/every-protocol.ts';
import { sharedFolder } from '../support/shared.ts';

const uploadedSchema = z.object({ status: z.literal('success'), image_id: taskIdSchema });
const listedSchema = z.object({ num_urls: z.int(), tasks: z.array(taskSchema) });

/** One task over several protocols of a service with all of them. */
export function protocolTests(service: () => EveryProtocol): void {
  let picture: Buffer;

  before(async () => {
    picture = await sharp({ create: { width: 60, height: 40, channels: 3, background: '#248' } })
      .png()
      .toBuffer();
  });

  async function status(id: string): Promise<Task> {
    return taskSchema.parse(await (await fetch(`${service().http}/status/${id}?wait=20`)).json());
  }

  async function sendByZeromq(request: object): Promise<unknown> {
    const socket = new Request({ receiveTimeout: 20_000, linger: 0 });
    try {
      socket.connect(service().zeromq);
      await socket.send(JSON.stringify(request));
      const [answer = ''] = await socket.receive();
      return JSON.parse(answer.toString());
    } finally {
      socket.close();
    }
  }

  it('a picture sent over ZeroMQ is shown over HTTP, watched over gRPC and /events, and fetched over HTTP', async () => {
    const sent = await sendByZeromq({ operation: 'upload', image_data: picture.toString('base64') });
    const { image_id: id } = uploadedSchema.parse(sent);
    const grpc = new GrpcClient(service().grpc, await loadProtos(), DARKROOM);
    const [watched, task] = await Promise.all([collect(grpc.serverStream('Watch', { task_id: id })), status(id)]);
    grpc.close();
    expect(watched.at(-1)).to.include({ task_id: id });
    // Without a classifier the task fails, but the picture is kept.
    expect(task).to.include({ task_id: id, status: sharedFolder() === null ? 'failed' : 'completed' });
    expect(task.input.original).to.equal(`/result/${id}/original`);
    const events = await WebSocketClient.open(`${service().http.replace('http', 'ws')}/events`);
    events.send(JSON.stringify({ subscribe: [id] }));
    expect(JSON.parse(await events.next())).to.deep.equal({ task });
    await events.close();
    const fetched = await fetch(`${service().http}${task.input.original}`);
    expect(Buffer.from(await fetched.arrayBuffer()).equals(picture)).to.equal(true);
  });

  it('URLs listed over HTTP are fetched from this server itself and classified', async () => {
    const uploaded = await fetch(`${service().http}/upload?scale_factor=0.5&wait=20`, {
      method: 'POST',
      headers: { 'content-type': 'image/png' },
      body: picture,
    });
    const { result } = taskSchema.parse(await uploaded.json());
    const urls = [`${service().http}${result}`, `${service().http}/missing`, 'no URL'];
    const answer = await fetch(`${service().http}/classify`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ urls }),
    });
    expect(answer.status).to.equal(202);
    const { tasks } = listedSchema.parse(await answer.json());
    const [first, ...others] = await Promise.all(tasks.map(({ task_id }) => status(task_id)));
    expect(first?.input).to.include({ source_url: urls[0], format: 'png', width: 30, height: 20 });
    expect(first?.outputs.map(({ operation }) => operation)).to.deep.equal(['classify']);
    expect(others.map(({ error }) => error?.code)).to.deep.equal(['SOURCE_ERROR', 'BAD_REQUEST']);
  });

  it('a circle by path is the same over gRPC and over HTTP', async () => {
    const path = join(service().pathRoot, 'cat.png');
    const output = join(service().pathRoot, 'cat_processed.png');
    await writeFile(path, picture);
    const grpc = new GrpcClient(service().grpc, await loadProtos(), IMAGE_PROCESSOR);
    const expected = { status: true, path: output, size: 32 };
    expect(await grpc.unary('ProcessImage', { path, size: 32 })).to.deep.include(expected);
    grpc.close();
    const first = await readFile(output);
    const answer = await fetch(`${service().http}/process`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ path, size: 32 }),
    });
    expect([answer.status, await answer.json()]).to.deep.equal([200, expected]);
    const second = await readFile(output);
    expect(second.equals(first)).to.equal(true);
    const { format, width, height, hasAlpha } = await sharp(second).metadata();
    expect({ format, width, height, hasAlpha }).to.deep.equal({ format: 'png', width: 32, height: 32, hasAlpha: true });
  });

  it('a snippet that a camera sends is shown with its task', async () => {
    const form = new FormData();
    form.append('image', new Blob([picture]), 'opencv_frame_0.png');
    form.append('Boxes', '[{"X":1,"Y":2,"W":3,"H":4}]');
    const put = await fetch(`${service().http}/snippets/1/`, { method: 'PUT', body: form });
    expect(put.status).to.equal(200);
    const { task } = z.object({ task: taskSchema }).parse(await put.json());
    expect((await status(task.task_id)).status).to.be.oneOf(['completed', 'failed']);
    const shown = await (await fetch(`${service().http}/snippets/1/`)).json();
    expect(shown).to.have.nested.property('task.task_id', task.task_id);
    expect(shown).to.deep.include({ boxes: [{ X: 1, Y: 2, W: 3, H: 4 }] });
  });
}
