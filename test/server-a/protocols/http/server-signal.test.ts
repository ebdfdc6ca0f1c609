import { once } from 'node:events';
import { expect } from 'chai';
import Koa from 'koa';
import type { HttpState } from '../../../../server-a/protocols/http/http-context.ts';
import { type HttpServer, listen } from '../../../../server-a/protocols/http/server.ts';
import { withServerSignal } from '../../../../server-a/protocols/http/server-signal.ts';
import { silent } from '../../tasks/support.ts';

describe("a request's signal", () => {
  let server: HttpServer;
  let client: AbortController;
  /** Resolves when the request has begun to wait. */
  let waits: Promise<unknown>;

  /** Serves one request that waits for its signal and answers with the reason of the abort. */
  beforeEach(async () => {
    client = new AbortController();
    const app = new Koa<HttpState>();
    app.use(async (context) => {
      context.state.signal = client.signal;
      context.body = await withServerSignal(context, async (signal) => {
        app.emit('waits');
        if (!signal.aborted) await once(signal, 'abort');
        return { code: signal.reason.code };
      });
    });
    waits = once(app, 'waits');
    const settings = { apiKeys: [], maxUploadMb: 1, maxConnections: 9, requestSeconds: 60, pathRoot: undefined };
    server = await listen(app, { ips: ['127.0.0.1'], ports: [0], settings, log: silent });
  });
  afterEach(() => server.close(0));

  async function answer(): Promise<unknown> {
    return (await fetch(server.address)).json();
  }

  it('aborts when the client disconnects', async () => {
    const answered = answer();
    await waits;
    client.abort();
    expect(await answered).to.deep.equal({ code: 'DRAINING' });
  });

  it('is already aborted when the client has disconnected before', async () => {
    client.abort();
    expect(await answer()).to.deep.equal({ code: 'DRAINING' });
  });

  it('aborts when the server closes', async () => {
    const answered = answer();
    await waits;
    await server.close(60_000);
    expect(await answered).to.deep.equal({ code: 'DRAINING' });
  });
});
