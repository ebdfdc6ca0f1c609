import { type EveryProtocol, startEveryProtocol } from '../support/every-protocol.ts';
import { exampleTests } from './example-tests.ts';
import { protocolTests } from './protocol-tests.ts';

describe('a service with every protocol', function () {
  this.timeout(180_000);
  let service: EveryProtocol;

  before(async () => {
    service = await startEveryProtocol();
  });

  after(() => service?.stop());

  describe('and one task over several of them', () => protocolTests(() => service));
  describe('and the examples', () => exampleTests(() => service));
});
