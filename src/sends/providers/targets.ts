import { promises as dns, type LookupAddress } from 'node:dns';
import { isIP, type LookupFunction } from 'node:net';
import ipaddr from 'ipaddr.js';

/** A host is not called, because it is, or because its name leads only to, an address that is not public. */
export class TargetRefusedError extends Error {
  /** @param fault what is wrong with the host, to be read after its name */
  constructor(host: string, fault: string) {
    super(`${host} ${fault}. To allow such targets, set SENDGATE_ALLOW_PRIVATE_TARGETS.`);
  }
}

/** Asks the DNS for all addresses of a name. Rejects when there are none. */
export type Resolve = (hostname: string) => Promise<LookupAddress[]>;

/** As the system does, so by /etc/hosts too. */
const resolveBySystem: Resolve = (hostname) => dns.lookup(hostname, { all: true });

/** All that is in use of the public Internet in IPv6: the rest is either special or not given out yet. */
const GLOBAL_UNICAST = ipaddr.IPv6.parseCIDR('2000::/3');

/**
 * Whether an address belongs to the public Internet. Private, loopback, link-local, shared (CGNAT), multicast,
 * documentation and reserved ones do not, in whatever form: one of IPv4 that is mapped into IPv6 is judged as the
 * IPv4 that it is, and those that a gateway translates (NAT64, 6to4, Teredo) are refused altogether, since what they lead
 * to depends on the gateway.
 */
export function isPublicAddress(address: string): boolean {
  if (!ipaddr.isValid(address)) return false;
  const parsed = ipaddr.process(address);
  // To ipaddr.js, what it has no name for is unicast: also ::127.0.0.1, say.
  return parsed.range() === 'unicast' && (parsed.kind() === 'ipv4' || parsed.match(GLOBAL_UNICAST));
}

/**
 * Refuses the host of a URL that is a literal address which is not public, or a name of this machine. Another name passes:
 * where it leads is looked at by `createTargetLookup` as the connection is made. A literal address never gets there, as
 * there is nothing to look up.
 * @param hostname of a `URL`, which has turned all spellings of an IPv4 address (2130706433, 0x7f.1) into the usual one
 * @throws TargetRefusedError
 */
export function refusePrivateHost(hostname: string): void {
  const address = hostname.replace(/^\[(.*)\]$/, '$1');
  if (isIP(address) !== 0) {
    if (!isPublicAddress(address)) throw new TargetRefusedError(hostname, 'is not a public address');
  } else if (/(^|\.)localhost\.?$/i.test(hostname)) {
    throw new TargetRefusedError(hostname, 'means this machine');
  }
}

/**
 * Makes the `lookup` of a connection. The addresses that it gives are those that are connected to, so that a name which
 * leads elsewhere a moment later (DNS rebinding) gains nothing by it.
 * @param allowPrivate whether addresses that are not public are given too
 */
export function createTargetLookup(allowPrivate: boolean, resolve: Resolve = resolveBySystem): LookupFunction {
  async function find(hostname: string): Promise<[LookupAddress, ...LookupAddress[]]> {
    const found = await resolve(hostname);
    const [first, ...more] = allowPrivate ? found : found.filter(({ address }) => isPublicAddress(address));
    if (first !== undefined) return [first, ...more];
    if (found.length === 0) throw new Error(`${hostname} has no address`);
    const addresses = found.map(({ address }) => address).join(', ');
    throw new TargetRefusedError(hostname, `leads only to addresses that are not public (${addresses})`);
  }

  return (hostname, { all }, callback) => {
    find(hostname).then(
      (addresses) => {
        if (all) callback(null, addresses);
        else callback(null, addresses[0].address, addresses[0].family);
      },
      (error: Error) => callback(error, []),
    );
  };
}
