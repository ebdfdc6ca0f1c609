import { expect } from 'chai';
import { checkOrigin } from '../../../server-a/protocols/origin.ts';
import { codeOf } from '../tasks/support.ts';

describe('checkOrigin', () => {
  const outcome = (headers: Record<string, string>) => codeOf(() => checkOrigin(headers));

  it('allows programs, and pages of the same host', async () => {
    for (const headers of [
      { host: 'photos.example:5454' },
      { host: 'photos.example:5454', origin: 'http://photos.example:5454' },
      { host: 'photos.example', origin: 'https://photos.example' },
      { host: '[::1]:5454', origin: 'http://[::1]:8080' },
    ]) {
      expect(await outcome(headers), JSON.stringify(headers)).to.equal('none');
    }
  });

  it('allows a page of the same origin behind a proxy that has changed the host', async () => {
    const headers = { host: '127.0.0.1:5454', origin: 'https://photos.example' };
    expect(await outcome({ ...headers, 'sec-fetch-site': 'same-origin' })).to.equal('none');
    for (const site of ['same-site', 'cross-site', 'none', '']) {
      expect(await outcome({ ...headers, 'sec-fetch-site': site }), site).to.equal('ORIGIN_NOT_ALLOWED');
    }
  });

  it('refuses pages of other hosts, pages without a host, and invalid origins', async () => {
    for (const origin of ['http://evil.example', 'null', '', 'photos.example', 'http://photos.example.evil.example']) {
      expect(await outcome({ host: 'photos.example', origin }), origin).to.equal('ORIGIN_NOT_ALLOWED');
    }
    expect(await outcome({ origin: 'http://photos.example' })).to.equal('ORIGIN_NOT_ALLOWED');
  });
});
