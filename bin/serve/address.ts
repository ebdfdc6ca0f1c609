import { BlockList, isIP, isIPv6 } from 'node:net';
import { invalid } from '../../shared/errors.ts';

/** Where a server listens. */
export interface Address {
  /** Name or IP address, IPv6 without brackets. */
  readonly host: string;
  readonly port: number;
}

const loopback = new BlockList();
loopback.addSubnet('127.0.0.0', 8, 'ipv4');
loopback.addAddress('::1', 'ipv6');

/** Reads `host:port`, IPv6 in brackets. Throws BAD_REQUEST that names the flag. */
export function parseAddress(text: string, flag: string): Address {
  const match = /^(?:\[(?<v6>[^\]]+)\]|(?<host>[^:[\]\s]+)):(?<port>\d{1,5})$/.exec(text);
  const host = match?.groups?.['v6'] ?? match?.groups?.['host'];
  const port = Number(match?.groups?.['port']);
  const isBracketed = match?.groups?.['v6'] !== undefined;
  if (host === undefined || (isBracketed && !isIPv6(host)) || port < 1 || port > 65_535) {
    throw invalid('host:port, an IPv6 address in brackets,', flag, text);
  }
  return { host, port };
}

/** `host:port`, with IPv6 in brackets (RFC 3986, section 3.2.2). */
export function formatAddress({ host, port }: Address): string {
  return isIPv6(host) ? `[${host}]:${port}` : `${host}:${port}`;
}

/** True for an IP address that only this machine can reach: 127.0.0.0/8, also mapped into IPv6, and ::1. */
export function isLoopback(ip: string): boolean {
  const family = isIP(ip);
  return family !== 0 && loopback.check(ip.replace(/%.*$/, ''), family === 6 ? 'ipv6' : 'ipv4');
}
