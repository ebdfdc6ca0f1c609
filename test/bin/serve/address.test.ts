import { expect } from 'chai';
import { formatAddress, isLoopback, parseAddress } from '../../../bin/serve/address.ts';

describe('address', () => {
  it('parses and formats names, IPv4 and bracketed IPv6', () => {
    const texts = ['127.0.0.1:5460', 'darkroom.example:1', '[::1]:5460', '[2001:db8::1]:65535'];
    for (const text of texts) expect(formatAddress(parseAddress(text, '--server-b'))).to.equal(text);
    expect(parseAddress('[::1]:5460', '--server-b')).to.deep.equal({ host: '::1', port: 5460 });
  });

  it('refuses any other text, and names the flag', () => {
    const texts = [
      '',
      'host',
      'host:',
      ':1',
      'host:0',
      'host:65536',
      'host:1x',
      '::1:5460',
      '[::1]',
      '[host]:1',
      'a b:1',
    ];
    for (const text of texts) {
      expect(() => parseAddress(text, '--server-b'), text).to.throw(`for --server-b, received '${text}'`);
    }
  });

  it('recognizes the addresses that only this machine can reach', () => {
    for (const ip of ['127.0.0.1', '127.1.2.3', '::1', '::ffff:127.0.0.1']) expect(isLoopback(ip), ip).to.equal(true);
    for (const ip of ['0.0.0.0', '::', '10.0.0.1', '128.0.0.1', '::2', 'localhost']) {
      expect(isLoopback(ip), ip).to.equal(false);
    }
  });
});
