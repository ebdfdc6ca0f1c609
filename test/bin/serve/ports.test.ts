import { expect } from 'chai';
import { checkPorts, listeningSettings } from '../../../bin/serve/ports.ts';
import { serverASettings } from '../../../server-a/config.ts';

describe('ports', () => {
  const flags = (settings: object) =>
    listeningSettings(serverASettings, serverASettings.parse(settings)).map(({ flag }) => flag);
  const check = (settings: object) => () => checkPorts(serverASettings, serverASettings.parse(settings));

  it('are the ports of the listeners that are on', () => {
    expect(flags({})).to.deep.equal([
      '--port',
      '--zeromq-port',
      '--zeromq-pub-port',
      '--grpc-port',
      '--websocket-port',
    ]);
    expect(flags({ zeromqPort: 0, grpcPort: 0, websocketPort: 0, serverBPort: 7000 })).to.deep.equal([
      '--port',
      '--server-b-port',
    ]);
  });

  it('may be equal for HTTP and the relay, and for a listener that is off', () => {
    for (const settings of [
      {},
      { port: 8080 },
      { port: [5454, 80, 8080] },
      { port: 0, grpcPort: 0, zeromqPort: 0, websocketPort: 0 },
      { port: 5556, zeromqPort: 0 },
      { port: 7000, serverBPort: 7000, serverB: 'there:7000' },
    ]) {
      expect(check(settings), JSON.stringify(settings)).not.to.throw();
    }
  });

  for (const [settings, flag, earlier] of [
    [{ port: 50_051 }, '--grpc-port', '--port'],
    [{ zeromqPubPort: 5555 }, '--zeromq-pub-port', '--zeromq-port'],
    [{ grpcPort: 8080 }, '--websocket-port', '--grpc-port'],
    [{ port: 8080, grpcPort: 8080 }, '--grpc-port', '--port'],
    [{ serverBPort: 5454 }, '--server-b-port', '--port'],
    [{ port: [80, 5555] }, '--zeromq-port', '--port'],
  ] as const) {
    it(`must differ for ${flag} and ${earlier}`, () => {
      const text = new RegExp(
        `^Expected a port of its own for ${flag}, received \\d+, which is also that of ${earlier}$`,
      );
      expect(check(settings)).to.throw(text);
    });
  }
});
