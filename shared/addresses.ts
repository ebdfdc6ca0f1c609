import { isIPv4, isIPv6 } from 'node:net';
import { networkInterfaces } from 'node:os';
import { z } from 'zod';
import { ipAddress, port } from './config.ts';

/** The loopback addresses that this machine has. */
export const LOOPBACKS: readonly string[] = hasIPv6Loopback() ? ['127.0.0.1', '::1'] : ['127.0.0.1'];

/** Addresses to listen on, as a list or separated by commas, without those that another one includes. */
export const ipAddresses = z
  .preprocess(listOf, z.array(ipAddress).min(1))
  .transform(withoutIncluded)
  .meta({ expected: 'IPv4 and IPv6 addresses, such as 127.0.0.1 or 127.0.0.1,::1,' });

/** TCP ports, as a list or separated by commas. */
export const ports = z
  .preprocess(listOf, z.array(z.preprocess((item) => (item === '' ? Number.NaN : item), port)).min(1))
  .transform((list): number[] => [...new Set(list)])
  .meta({ expected: 'ports from 0 to 65535, such as 5454 or 5454,80,' });

/** `host:port` for URLs and logs: IPv6 in brackets (RFC 3986, section 3.2.2). */
export function hostAndPort(ip: string, ofPort: number): string {
  return `${isIPv6(ip) ? `[${ip}]` : ip}:${ofPort}`;
}

/** True when none of the addresses is one of IPv4, nor `::`, which accepts IPv4, too. */
export function isIPv6Only(ips: readonly string[]): boolean {
  return ips.every((ip) => isIPv6(ip) && ip !== '::');
}

function listOf(value: unknown): unknown {
  if (typeof value === 'string') return value.split(',').map((item) => item.trim());
  return typeof value === 'number' ? [value] : value;
}

/** `::` listens on every address, `0.0.0.0` on every one of IPv4; to open one of these, too, would fail. */
function withoutIncluded(ips: readonly string[]): string[] {
  const all = [...new Set(ips)];
  if (all.includes('::')) return ['::'];
  return all.includes('0.0.0.0') ? all.filter((ip) => ip === '0.0.0.0' || !isIPv4(ip)) : all;
}

function hasIPv6Loopback(): boolean {
  return Object.values(networkInterfaces()).some((all) => all?.some(({ address }) => address === '::1'));
}
