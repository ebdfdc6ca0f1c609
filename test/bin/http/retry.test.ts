import { expect } from 'chai';
import { Backoff, parseRetryAfter } from '../../../bin/http/retry.ts';

const NOW = Date.parse('2026-01-01T00:00:00Z');

describe('retry', () => {
  it('reads Retry-After as seconds or as a date, and a past date as now', () => {
    expect(parseRetryAfter('0', NOW)).to.equal(0);
    expect(parseRetryAfter('120', NOW)).to.equal(120_000);
    expect(parseRetryAfter('Thu, 01 Jan 2026 00:00:05 GMT', NOW)).to.equal(5000);
    expect(parseRetryAfter('Wed, 31 Dec 2025 00:00:00 GMT', NOW)).to.equal(0);
  });

  it('ignores an invalid header', () => {
    for (const header of [undefined, '', 'soon', '-1x', '1.5.']) expect(parseRetryAfter(header, NOW)).to.equal(null);
  });

  it('stops when the patience would be exceeded, without another sleep', async () => {
    const { signal } = new AbortController();
    const backoff = new Backoff(1000);
    let attempts = 0;
    while (await backoff.wait(0, signal)) attempts += 1;
    // 250 and 500 ms, plus at most a quarter each, fit into a second; another 1000 ms do not.
    expect(attempts).to.equal(2);
    expect(await new Backoff(1000).wait(60_000, signal)).to.equal(false);
  });

  it('stops waiting when the signal aborts', async () => {
    const controller = new AbortController();
    const waiting = new Backoff(100_000).wait(50_000, controller.signal);
    controller.abort();
    expect(await waiting.catch((error: Error) => error.name)).to.equal('AbortError');
  });
});
