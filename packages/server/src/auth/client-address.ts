import { BlockList, isIP } from 'node:net';
import { kalamError } from '@kalamdb/protocol';

/** The parts of a request that say where it came from. */
export interface AddressSource {
  /** The address of the TCP peer. */
  readonly peer: string | undefined;
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>;
}

/** Whether an address or host name is this machine: 127.0.0.0/8, `::1` or `localhost`. */
export function isLoopback(address: string): boolean {
  const plain = plainAddress(address);
  return plain === '::1' || plain === 'localhost' || (isIP(plain) === 4 && plain.startsWith('127.'));
}

/**
 * The reverse proxies whose forwarding headers are believed, from `security.trusted_proxy_ranges` (addresses or CIDR
 * ranges). Loopback peers are always believed. Throws CONFIG_INVALID for a range that is none.
 */
export function trustedProxies(ranges: readonly string[]): BlockList {
  const list = new BlockList();
  for (const range of ranges) {
    const [address = '', prefix, ...rest] = range.split('/');
    const version = isIP(address);
    const bitsMax = version === 6 ? 128 : 32;
    // A prefix that is left out is no prefix of 0, which is everybody.
    const bits = prefix === undefined ? bitsMax : /^\d{1,3}$/.test(prefix) ? Number(prefix) : Number.NaN;
    if (version === 0 || !(bits <= bitsMax) || rest.length > 0) {
      throw kalamError('CONFIG_INVALID', { reason: `security.trusted_proxy_ranges: '${range}' is not an address or a CIDR range` });
    }
    list.addSubnet(address, bits, version === 6 ? 'ipv6' : 'ipv4');
  }
  return list;
}

/**
 * The address a request counts as (wire-protocol 1.3): the first element of `X-Forwarded-For`, or `X-Real-IP`, when the
 * peer is loopback or a trusted proxy, else the peer's. A forwarded address that is itself loopback, or none at all, is
 * ignored, so a remote user behind a proxy on this machine is never taken for local.
 */
export function clientAddress(source: AddressSource, proxies: BlockList): string {
  const peer = plainAddress(source.peer ?? '');
  const forwarded = source.headers['x-forwarded-for'] ?? source.headers['x-real-ip'];
  if (forwarded === undefined || !believes(peer, proxies)) return peer;
  const first = plainAddress((typeof forwarded === 'string' ? forwarded : (forwarded[0] ?? '')).split(',')[0]?.trim() ?? '');
  return isIP(first) === 0 || isLoopback(first) ? peer : first;
}

function believes(peer: string, proxies: BlockList): boolean {
  const version = isIP(peer);
  return version !== 0 && (isLoopback(peer) || proxies.check(peer, version === 6 ? 'ipv6' : 'ipv4'));
}

/**
 * What an address counts as in limits: itself, or its /64 for IPv6, of which everybody gets at least one. `address` is as
 * {@link clientAddress} gives it.
 */
export function networkOf(address: string): string {
  if (isIP(address) !== 6) return address;
  const [head = '', tail] = (address.split('%', 1)[0] ?? '').split('::');
  const groups = head === '' ? [] : head.split(':');
  const rest = tail === undefined || tail === '' ? [] : tail.split(':');
  // The last two groups may be written as an IPv4 address.
  const missing = 8 - groups.length - rest.length - (address.includes('.') ? 1 : 0);
  const all = [...groups, ...Array.from({ length: Math.max(0, missing) }, () => '0'), ...rest];
  return `${all
    .slice(0, 4)
    .map((group) => Number.parseInt(group, 16).toString(16))
    .join(':')}::/64`;
}

/** Without the IPv4-in-IPv6 prefix that a dual-stack socket puts in front, and without brackets. */
export function plainAddress(address: string): string {
  if (!address.includes(':') && !address.startsWith('[')) return address;
  return address.replace(/^::ffff:(?=\d+\.)/i, '').replace(/^\[(.*)\]$/, '$1');
}
