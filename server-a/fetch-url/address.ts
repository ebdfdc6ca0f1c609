import { BlockList, isIP } from 'node:net';

/** Addresses that are not public hosts: IANA IPv4 Special-Purpose Address Registry (RFC 6890) and RFC 1112. */
const SPECIAL_IPV4 = [
  '0.0.0.0/8', // this network, unspecified (RFC 791)
  '10.0.0.0/8', // private (RFC 1918)
  '100.64.0.0/10', // shared by carriers, CGNAT (RFC 6598)
  '127.0.0.0/8', // loopback (RFC 1122)
  '168.63.129.16/32', // the host of a virtual machine at Azure: a public number, but reachable only from inside
  '169.254.0.0/16', // link-local, with the metadata service of clouds (RFC 3927)
  '172.16.0.0/12', // private (RFC 1918)
  '192.0.0.0/24', // IETF protocol assignments (RFC 6890)
  '192.0.2.0/24', // documentation (RFC 5737)
  '192.88.99.0/24', // 6to4 relays (RFC 7526)
  '192.168.0.0/16', // private (RFC 1918)
  '198.18.0.0/15', // benchmarks (RFC 2544)
  '198.51.100.0/24', // documentation (RFC 5737)
  '203.0.113.0/24', // documentation (RFC 5737)
  '224.0.0.0/4', // multicast (RFC 1112)
  '240.0.0.0/4', // reserved and broadcast (RFC 1112, RFC 919)
];

/**
 * The only IPv6 addresses of public hosts (RFC 4291 section 2.4, IANA). Not among them: loopback, unspecified,
 * IPv4-mapped and -compatible, NAT64 (64:ff9b::/96, 64:ff9b:1::/48), ULA, link- and site-local, multicast.
 */
const GLOBAL_UNICAST_IPV6 = ['2000::/3'];

/** Global unicast addresses that are not public hosts: IANA IPv6 Special-Purpose Address Registry. */
const SPECIAL_IPV6 = [
  '2001::/23', // IETF protocol assignments (RFC 2928): Teredo, benchmarks, ORCHID
  '2001:db8::/32', // documentation (RFC 3849)
  '2002::/16', // 6to4, which contains an IPv4 address (RFC 3056)
  '3fff::/20', // documentation (RFC 9637)
];

const specialIpv4 = blockList(SPECIAL_IPV4, 'ipv4');
const globalIpv6 = blockList(GLOBAL_UNICAST_IPV6, 'ipv6');
const specialIpv6 = blockList(SPECIAL_IPV6, 'ipv6');

/** True for an IPv4 or IPv6 address, without brackets, that may belong to a host of the public internet. */
export function isPublicAddress(address: string): boolean {
  // Only link-local addresses have a zone (RFC 4007).
  if (address.includes('%')) return false;
  const version = isIP(address);
  if (version === 4) return !specialIpv4.check(address, 'ipv4');
  return version === 6 && globalIpv6.check(address, 'ipv6') && !specialIpv6.check(address, 'ipv6');
}

/** True for names that always mean this machine (RFC 6761 section 6.3). */
export function isLocalName(hostname: string): boolean {
  return /^(.+\.)?localhost\.?$/i.test(hostname);
}

function blockList(ranges: readonly string[], type: 'ipv4' | 'ipv6'): BlockList {
  const list = new BlockList();
  for (const range of ranges) {
    const [network = '', prefix] = range.split('/');
    list.addSubnet(network, Number(prefix), type);
  }
  return list;
}
