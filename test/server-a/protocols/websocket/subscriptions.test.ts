import { setImmediate as turn } from 'node:timers/promises';
import { expect } from 'chai';
import { MAX_SUBSCRIPTIONS } from '../../../../server-a/protocols/websocket/event-messages.ts';
import { Subscriptions } from '../../../../server-a/protocols/websocket/subscriptions.ts';
import { systemCode } from '../../../../shared/errors.ts';
import { type PictureServer, startPictureServer } from '../../../support/picture-server.ts';
import { RESIZE, receivePicture, useTasks } from '../../tasks/support.ts';

describe('subscriptions', () => {
  const { open } = useTasks();
  let web: PictureServer;

  before(async () => {
    web = await startPictureServer(Buffer.alloc(0));
  });

  after(() => web.close());

  it('are at most 256 at once, and one that ends makes room for another', async () => {
    const tasks = await open();
    // Tasks of URLs that never answer: a hundredth of the work of as many uploads.
    const urls = Array.from({ length: MAX_SUBSCRIPTIONS + 1 }, (_, index) => `${web.address}/hang${index}`);
    const ids = (await tasks.submitUrls(urls, [RESIZE])).map(({ task_id }) => task_id);
    const [first = '', ...others] = ids;
    const last = others.at(-1) ?? '';
    const told: string[] = [];
    const subscriptions = new Subscriptions(tasks, {
      task: async ({ task_id, status }) => void told.push(`${task_id} ${status}`),
      error: async (error, id) => void told.push(`${id} ${systemCode(error)}`),
    });
    for (const id of ids) subscriptions.subscribe(id);
    await turn();
    expect(told).to.have.length(MAX_SUBSCRIPTIONS + 1);
    expect(told).to.include(`${last} RATE_LIMITED`).and.include(`${first} pending`);
    await tasks.cancel(first);
    while (subscriptions.size === MAX_SUBSCRIPTIONS) await turn();
    subscriptions.subscribe(last);
    await turn();
    expect(told.slice(-2)).to.deep.equal([`${first} canceled`, `${last} pending`]);
    subscriptions.close();
  });

  it('report no record before the previous one has been sent', async () => {
    const tasks = await open();
    const { task_id: id } = await tasks.submit(await receivePicture(tasks), [RESIZE]);
    const told: string[] = [];
    let leave: () => void = () => undefined;
    const subscriptions = new Subscriptions(tasks, {
      task: ({ status }) => {
        told.push(status);
        return new Promise((resolve) => {
          leave = resolve;
        });
      },
      error: async () => undefined,
    });
    subscriptions.subscribe(id);
    await turn();
    await tasks.cancel(id);
    await turn();
    expect(told).to.deep.equal(['pending']);
    leave();
    await turn();
    expect(told).to.deep.equal(['pending', 'canceled']);
    leave();
    subscriptions.close();
  });
});
