import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { expect } from 'chai';
import { type GrpcConnections, Listener } from '../../../../server-a/protocols/grpc/listener.ts';
import { createLogger } from '../../../../shared/log.ts';

const log = createLogger('test', 'silent');

/** Settles the promise that the listener waits for. */
interface Opening {
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
}

describe('gRPC listener', () => {
  let listener: Listener;
  let opened: Opening;
  let opens: number;
  let served: Socket[];
  let isClosed: boolean;

  beforeEach(async () => {
    opens = 0;
    served = [];
    isClosed = false;
    const connections: GrpcConnections = {
      add: (socket) => {
        served.push(socket);
        socket.end('served');
      },
      close: () => {
        isClosed = true;
      },
    };
    const opening = new Promise<GrpcConnections>((resolve, reject) => {
      opened = { resolve: () => resolve(connections), reject };
    });
    // It may be rejected before the connection is accepted.
    opening.catch(() => {});
    const open = () => {
      opens += 1;
      return opening;
    };
    listener = await Listener.listen(open, { ips: ['127.0.0.1'], ports: [0], maxConnections: 9, log });
  });

  afterEach(() => listener.close(0));

  function connection(): Socket {
    const port = Number(listener.addresses[0]?.split(':').at(-1));
    return connect(port, '127.0.0.1').resume();
  }

  it('opens the services once, at the first connection; connections wait for them', async () => {
    expect(opens).to.equal(0);
    const sockets = [connection(), connection()];
    await Promise.all(sockets.map((socket) => once(socket, 'connect')));
    opened.resolve();
    await Promise.all(sockets.map((socket) => once(socket, 'end')));
    expect(opens).to.equal(1);
    expect(served).to.have.length(2);
  });

  it('closes the connections when the services cannot be opened', async () => {
    const socket = connection();
    const closed = once(socket, 'close');
    opened.reject(new Error('no such module'));
    await closed;
    expect(served).to.deep.equal([]);
  });

  it('closes the services, if they were opened', async () => {
    const socket = connection();
    opened.resolve();
    await once(socket, 'end');
    await listener.close(0);
    expect(isClosed).to.equal(true);
  });
});
