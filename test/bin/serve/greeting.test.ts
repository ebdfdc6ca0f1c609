import { expect } from 'chai';
import { greeting } from '../../../bin/serve/greeting.ts';

describe('the greeting', () => {
  const settings = { ip: ['127.0.0.1'], dataDir: './data', apiKeys: [] };
  const of = (http: string, ip: string[]) =>
    greeting({ http, lines: [`HTTP      ${http}`] }, 'up', { ...settings, ip });

  it('says in one line who does not reach IPv6 alone', () => {
    const notes = (ip: string[]) => of('http://[::1]:5454', ip).match(/^.*do not reach.*$/gm) ?? [];
    for (const ip of [['::1'], ['fe80::1%eth0', '::1']]) expect(notes(ip)).to.have.length(1);
    for (const ip of [['127.0.0.1', '::1'], ['::'], ['0.0.0.0']]) expect(notes(ip)).to.deep.equal([]);
  });

  it('ends with a curl line for the first address', () => {
    expect(of('http://0.0.0.0:5454', ['0.0.0.0'])).to.match(/curl .*'http:\/\/127\.0\.0\.1:5454\/upload\?wait=10'\n$/);
  });
});
