import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { expect } from 'chai';
import { describeFailure, explainListenFailure } from '../../../bin/serve/failure.ts';
import { serverASettings } from '../../../server-a/config.ts';
import { DarkroomError } from '../../../shared/errors.ts';

describe('failure', () => {
  it('names the flag of the port that is in use', async () => {
    const holder = createServer().listen(0, '127.0.0.1');
    await once(holder, 'listening');
    try {
      const { port } = addressOf(holder.address());
      const failed: unknown = await listenError({ port, host: '127.0.0.1' });
      for (const [settings, flag] of [
        [{ port }, '--port'],
        [{ port: 1, serverBPort: port }, '--server-b-port'],
        [{ port, websocketPort: port }, '--port'],
        [{ zeromqPort: 0, zeromqPubPort: port, grpcPort: port }, '--grpc-port'],
      ] as const) {
        const told = explainListenFailure(failed, serverASettings, settings);
        const expected = `darkroom: Expected a free port for ${flag}, received ${port}, which is in use (EADDRINUSE)`;
        expect(describeFailure(told)).to.equal(expected);
      }
    } finally {
      holder.close();
    }
  });

  it('names --ip for an address that this machine does not have', async () => {
    // 192.0.2.0/24 is for documentation only (RFC 5737), so no machine has such an address.
    const failed = await listenError({ port: 0, host: '192.0.2.1' });
    const told = explainListenFailure(failed, serverASettings, { ip: '192.0.2.1' });
    expect(describeFailure(told)).to.equal(
      "darkroom: Expected an address of this machine for --ip, received '192.0.2.1'",
    );
  });

  it('returns other failures unchanged', () => {
    const other = new DarkroomError('INTERNAL', 'something else');
    expect(explainListenFailure(other, serverASettings, {})).to.equal(other);
  });

  it('prints one line for an expected error, and the stack for any other', () => {
    expect(describeFailure(new DarkroomError('BAD_REQUEST', 'so it is'))).to.equal('darkroom: so it is');
    expect(describeFailure(new TypeError('a bug'))).to.match(/^darkroom: TypeError: a bug\n +at /);
  });
});

async function listenError(options: { port: number; host: string }): Promise<unknown> {
  const server = createServer();
  server.listen(options);
  const [error] = await once(server, 'error');
  return error;
}

function addressOf(address: string | AddressInfo | null): AddressInfo {
  if (address === null || typeof address === 'string') throw new Error('Expected a TCP address');
  return address;
}
