import { expect } from 'chai';
import fc from 'fast-check';
import { isLocalName, isPublicAddress } from '../../../server-a/fetch-url/address.ts';
import { fetchPicture } from '../../../server-a/fetch-url/fetch-picture.ts';
import { expectCode } from '../../support/expect-code.ts';

/** First and last address of every IPv4 range without public hosts. */
const IPV4_RANGES = [
  ['0.0.0.0', '0.255.255.255'],
  ['10.0.0.0', '10.255.255.255'],
  ['100.64.0.0', '100.127.255.255'],
  ['127.0.0.0', '127.255.255.255'],
  ['168.63.129.16', '168.63.129.16'],
  ['169.254.0.0', '169.254.255.255'],
  ['172.16.0.0', '172.31.255.255'],
  ['192.0.0.0', '192.0.0.255'],
  ['192.0.2.0', '192.0.2.255'],
  ['192.88.99.0', '192.88.99.255'],
  ['192.168.0.0', '192.168.255.255'],
  ['198.18.0.0', '198.19.255.255'],
  ['198.51.100.0', '198.51.100.255'],
  ['203.0.113.0', '203.0.113.255'],
  ['224.0.0.0', '255.255.255.255'],
] as const;

/** The same for IPv6. */
const IPV6_RANGES = [
  ['::', '1fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff'],
  ['2001::', '2001:1ff:ffff:ffff:ffff:ffff:ffff:ffff'],
  ['2001:db8::', '2001:db8:ffff:ffff:ffff:ffff:ffff:ffff'],
  ['2002::', '2002:ffff:ffff:ffff:ffff:ffff:ffff:ffff'],
  ['3fff::', '3fff:fff:ffff:ffff:ffff:ffff:ffff:ffff'],
  ['4000::', 'ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff'],
] as const;

const refusedIpv4 = fc.oneof(
  ...IPV4_RANGES.map(([first, last]) => fc.integer({ min: ipv4Value(first), max: ipv4Value(last) })),
);
const refusedIpv6 = fc.oneof(
  ...IPV6_RANGES.map(([first, last]) => fc.bigInt({ min: ipv6Value(first), max: ipv6Value(last) })),
);

/** Every notation of an IPv4 address that a URL accepts (WHATWG URL, IPv4 parser), from its four bytes. */
const IPV4_NOTATIONS: Readonly<Record<string, (value: number) => string>> = {
  'dotted decimal': dotted,
  'a trailing dot': (value) => `${dotted(value)}.`,
  'one decimal number': (value) => `${value}`,
  'one hexadecimal number': (value) => `0x${value.toString(16)}`,
  'one octal number': (value) => `0${value.toString(8)}`,
  'hexadecimal bytes': (value) =>
    ipv4Bytes(value)
      .map((byte) => `0X${byte.toString(16).toUpperCase()}`)
      .join('.'),
  'octal bytes with zeros before': (value) =>
    ipv4Bytes(value)
      .map((byte) => `000${byte.toString(8)}`)
      .join('.'),
  'two parts': (value) => `${value >>> 24}.${value & 0xffffff}`,
  'three parts': (value) => `${value >>> 24}.0x${((value >>> 16) & 0xff).toString(16)}.${value & 0xffff}`,
  'percent signs': (value) => dotted(value).replace(/\d/g, (digit) => `%3${digit}`),
  'full-width digits and dots': (value) =>
    dotted(value).replace(/[\d.]/g, (sign) => (sign === '.' ? '。' : String.fromCharCode(0xff10 + Number(sign)))),
  'IPv4-mapped': (value) => `[::ffff:${dotted(value)}]`,
  'IPv4-mapped in hexadecimal': (value) => `[::FFFF:${halves(value)}]`,
  'IPv4-mapped without shortening': (value) => `[0:0:0:0:0:ffff:${halves(value)}]`,
  'IPv4-compatible': (value) => `[::${dotted(value)}]`,
  'IPv4-translated': (value) => `[::ffff:0:${dotted(value)}]`,
  NAT64: (value) => `[64:ff9b::${dotted(value)}]`,
  'local NAT64': (value) => `[64:ff9b:1::${dotted(value)}]`,
  '6to4': (value) => `[2002:${halves(value)}::1]`,
  Teredo: (value) => `[2001:0:${halves(value)}::1]`,
};

/** The notations of an IPv6 address. */
const IPV6_NOTATIONS: Readonly<Record<string, (groups: readonly string[]) => string>> = {
  'in full': (groups) => groups.map((group) => group.padStart(4, '0')).join(':'),
  'without zeros': (groups) => groups.join(':'),
  'in capitals': (groups) => groups.join(':').toUpperCase(),
  'with an end in dotted decimal': (groups) => {
    const low = Number.parseInt(`${groups[6]?.padStart(4, '0')}${groups[7]?.padStart(4, '0')}`, 16);
    return `${groups.slice(0, 6).join(':')}:${dotted(low)}`;
  },
};

describe('isPublicAddress', () => {
  it('is false for every IPv4 address of the special ranges', () => {
    fc.assert(fc.property(refusedIpv4, (value) => !isPublicAddress(dotted(value))));
  });

  it('is true for every other IPv4 address', () => {
    const ranges = IPV4_RANGES.map(([first, last]) => [ipv4Value(first), ipv4Value(last)] as const);
    const isListed = (value: number) => ranges.some(([first, last]) => value >= first && value <= last);
    const anywhere = fc.integer({ min: 0, max: 0xffffffff });
    fc.assert(fc.property(anywhere, (value) => isPublicAddress(dotted(value)) === !isListed(value)));
  });

  it('is true just outside of each IPv4 range', () => {
    const edges = [
      '1.0.0.0',
      '9.255.255.255',
      '11.0.0.0',
      '100.63.255.255',
      '100.128.0.0',
      '126.255.255.255',
      '128.0.0.0',
    ];
    edges.push('168.63.129.15', '168.63.129.17', '169.253.255.255', '169.255.0.0', '172.15.255.255', '172.32.0.0');
    edges.push('192.167.255.255', '192.169.0.0', '198.17.255.255', '198.20.0.0', '223.255.255.255');
    for (const edge of edges) expect(isPublicAddress(edge), edge).to.equal(true);
  });

  for (const [notation, write] of Object.entries(IPV6_NOTATIONS)) {
    it(`is false for every IPv6 address of the special ranges ${notation}`, () => {
      fc.assert(fc.property(refusedIpv6, (value) => !isPublicAddress(write(groupsOf(value)))));
    });
  }

  it('is true for the rest of global unicast', () => {
    for (const address of [
      '2000::',
      '2001:200::1',
      '2001:4860:4860::8888',
      '2606:4700::1111',
      '2a00::1',
      '3fff:1000::',
    ]) {
      expect(isPublicAddress(address), address).to.equal(true);
    }
  });

  it('is false for addresses with a zone and for other text', () => {
    for (const text of ['fe80::1%lo', '2606:4700::1111%1', '', 'example.com', '[::1]', '1.2.3']) {
      expect(isPublicAddress(text), text).to.equal(false);
    }
  });
});

describe('isLocalName', () => {
  it('is true for localhost and its subdomains, in any case, with a dot at the end', () => {
    for (const name of ['localhost', 'LOCALHOST', 'localhost.', 'a.b.localhost', 'a.localhost.']) {
      expect(isLocalName(name), name).to.equal(true);
    }
    for (const name of ['localhost.example.com', 'mylocalhost', 'example.com']) {
      expect(isLocalName(name), name).to.equal(false);
    }
  });
});

describe('fetchPicture of a literal address', () => {
  const limits = { maxBytes: 1000, seconds: 5, allowPrivate: false };
  const neverAsked = async () => {
    throw new Error('Expected no lookup of a literal');
  };
  const expectRefused = (host: string) =>
    expectCode(
      'URL_NOT_ALLOWED',
      fetchPicture(`http://${host}:9/cat.jpg`, limits, new AbortController().signal, neverAsked),
    );

  for (const [notation, write] of Object.entries(IPV4_NOTATIONS)) {
    it(`refuses IPv4 addresses that are not public, written with ${notation}`, async () => {
      await fc.assert(
        fc.asyncProperty(refusedIpv4, async (value) => {
          await expectRefused(write(value));
        }),
        { numRuns: 30 },
      );
    });
  }

  it('refuses IPv6 addresses that are not public', async () => {
    await fc.assert(
      fc.asyncProperty(refusedIpv6, async (value) => {
        await expectRefused(`[${groupsOf(value).join(':')}]`);
      }),
    );
  });

  it('refuses the short forms 127.1 and 0, zones, and localhost by name', async () => {
    for (const host of [
      '127.1',
      '0',
      '[::]',
      '[::1]',
      '[fe80::1%25lo]',
      '[fe80::1%lo]',
      'localhost',
      'ⓛocalhost.',
      'a.localhost',
    ]) {
      await expectRefused(host);
    }
  });
});

function ipv4Bytes(value: number): number[] {
  return [24, 16, 8, 0].map((shift) => (value >>> shift) & 0xff);
}

function dotted(value: number): string {
  return ipv4Bytes(value).join('.');
}

function halves(value: number): string {
  return `${(value >>> 16).toString(16)}:${(value & 0xffff).toString(16)}`;
}

function ipv4Value(address: string): number {
  return address.split('.').reduce((value, byte) => value * 256 + Number(byte), 0);
}

function ipv6Value(address: string): bigint {
  const [head = '', tail = ''] = address.split('::');
  const [before, after] = [head, tail].map((part) => part.split(':').filter((group) => group !== ''));
  const zeros = Array.from({ length: 8 - (before?.length ?? 0) - (after?.length ?? 0) }, () => '0');
  const groups = [...(before ?? []), ...zeros, ...(after ?? [])];
  return groups.reduce((value, group) => value * 65_536n + BigInt(`0x${group}`), 0n);
}

function groupsOf(value: bigint): string[] {
  return Array.from({ length: 8 }, (_, index) => ((value >> BigInt(112 - 16 * index)) & 0xffffn).toString(16));
}
