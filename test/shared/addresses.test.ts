import { expect } from 'chai';
import { SERVER_A_PREFIX, serverASettings } from '../../server-a/config.ts';
import { hostAndPort, isIPv6Only, LOOPBACKS } from '../../shared/addresses.ts';
import { resolveSettings } from '../../shared/config.ts';

const resolve = (flags: Record<string, string>) => resolveSettings(serverASettings, SERVER_A_PREFIX, flags, {});

describe('the addresses of Server A', () => {
  it('are the loopbacks of this machine by default', () => {
    expect(resolve({}).ip).to.deep.equal([...LOOPBACKS]);
    expect(LOOPBACKS[0]).to.equal('127.0.0.1');
  });

  for (const [text, expected] of [
    ['::1', ['::1']],
    ['127.0.0.1, ::1', ['127.0.0.1', '::1']],
    ['fe80::1%eth0', ['fe80::1%eth0']],
    ['10.0.0.1,10.0.0.1', ['10.0.0.1']],
    ['::1,::,127.0.0.1', ['::']],
    ['127.0.0.1,0.0.0.0,::1', ['0.0.0.0', '::1']],
  ] as const) {
    it(`are ${expected.join(' and ')} for ${text}`, () => {
      expect(resolve({ ip: text }).ip).to.deep.equal(expected);
    });
  }

  for (const text of ['', ',', '127.0.0.1,', 'localhost', '127.0.0.1;::1', '1.2.3', 'fe80::1%', '10.0.0.1%eth0']) {
    it(`are refused for '${text}'`, () => {
      const expected = 'Expected IPv4 and IPv6 addresses, such as 127.0.0.1 or 127.0.0.1,::1, for --ip';
      expect(() => resolve({ ip: text })).to.throw(`${expected}, received '${text}'`);
    });
  }

  it('show IPv6 in brackets', () => {
    expect(hostAndPort('127.0.0.1', 80)).to.equal('127.0.0.1:80');
    expect(hostAndPort('fe80::1%eth0', 80)).to.equal('[fe80::1%eth0]:80');
  });

  it('are told from those that IPv4 does not reach', () => {
    for (const ips of [['::1'], ['::1', 'fe80::1%eth0']]) expect(isIPv6Only(ips), ips.join()).to.equal(true);
    for (const ips of [['127.0.0.1', '::1'], ['0.0.0.0'], ['::']]) expect(isIPv6Only(ips), ips.join()).to.equal(false);
  });
});

describe('the HTTP ports of Server A', () => {
  for (const [text, expected] of [
    ['5454', [5454]],
    ['5454,80, 3000', [5454, 80, 3000]],
    ['80,80', [80]],
    ['0', [0]],
  ] as const) {
    it(`are ${expected.join(' and ')} for ${text}`, () => {
      expect(resolve({ port: text }).port).to.deep.equal(expected);
    });
  }

  for (const text of ['', '80,', ',', '65536', '80,70000', '-1', '80 90', 'http', '1.5']) {
    it(`are refused for '${text}'`, () => {
      const expected = 'Expected ports from 0 to 65535, such as 5454 or 5454,80, for --port';
      expect(() => resolve({ port: text })).to.throw(`${expected}, received '${text}'`);
    });
  }
});
