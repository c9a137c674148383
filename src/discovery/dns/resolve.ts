/**
 * Asks DNS once for the endpoints behind a name: A, or else AAAA, or SRV and the addresses of its targets.
 *
 * A name without records is an answer (there are no endpoints); whatever keeps DNS from answering is a SourceError. Only the best
 * priority of SRV records is used, in the proportion of their weights (RFC 2782).
 */
import type { RecordWithTtl, SrvRecord } from 'node:dns';
import type { DnsTarget } from '../../config/endpoint-source.ts';
import { codeOf } from '../../schema/thrown.ts';
import { type FoundEndpoint, SourceError, type Trouble } from '../source.ts';

/** What is used of `Resolver` of node:dns/promises. */
export interface DnsResolver {
  resolve4(name: string, options: { readonly ttl: true }): Promise<RecordWithTtl[]>;
  resolve6(name: string, options: { readonly ttl: true }): Promise<RecordWithTtl[]>;
  resolveSrv(name: string): Promise<SrvRecord[]>;
}

export interface DnsAnswer {
  readonly endpoints: readonly FoundEndpoint[];
  /** Seconds for which the answer holds; null where nothing says. For SRV that of the targets' addresses. */
  readonly ttl: number | null;
}

/** Targets of SRV records that are looked up. */
const MOST_TARGETS = 200;

/** Rejects with SourceError. */
export async function resolveEndpoints(resolver: DnsResolver, { host, port }: DnsTarget): Promise<DnsAnswer> {
  if (port !== null) {
    const records = await addressesOf(resolver, host);
    return { endpoints: records.map(({ address }) => endpoint(address, port, 1)), ttl: shortest(records) };
  }
  const records = await absent(() => resolver.resolveSrv(host), host);
  const best = Math.min(...records.map(({ priority }) => priority));
  // A target of "." says that the service is not there.
  const used = records
    .filter(({ priority, name }) => priority === best && name !== '' && name !== '.')
    .slice(0, MOST_TARGETS);
  const targets = await Promise.all(
    used.map(async (record) => ({ record, addresses: await addressesOf(resolver, record.name) })),
  );
  const all = targets.flatMap(({ addresses }) => addresses);
  const mean = used.reduce((sum, { weight }) => sum + weight, 0) / Math.max(1, used.length);
  return {
    endpoints: targets.flatMap(({ record, addresses }) =>
      addresses.map(({ address }) => endpoint(address, record.port, weightOf(record.weight, mean))),
    ),
    ttl: shortest(all),
  };
}

function endpoint(host: string, port: number, weight: number): FoundEndpoint {
  return { host, port, weight, leaving: false };
}

/** Relative to the others'. A weight of 0 is a very small one, and all are alike where all are 0. */
function weightOf(weight: number, mean: number): number {
  return mean === 0 ? 1 : Math.max(0.01, Math.round((weight / mean) * 100) / 100);
}

/** IPv6 only where there is no IPv4: both would be each machine twice. */
async function addressesOf(resolver: DnsResolver, name: string): Promise<readonly RecordWithTtl[]> {
  const v4 = await absent(() => resolver.resolve4(name, { ttl: true }), name);
  return v4.length > 0 ? v4 : absent(() => resolver.resolve6(name, { ttl: true }), name);
}

function shortest(records: readonly RecordWithTtl[]): number | null {
  return records.length === 0 ? null : Math.min(...records.map(({ ttl }) => ttl));
}

/** The records, none where the name has none. */
async function absent<T>(ask: () => Promise<T[]>, name: string): Promise<T[]> {
  try {
    return await ask();
  } catch (error) {
    const code = codeOf(error);
    if (code === 'ENOTFOUND' || code === 'ENODATA') return [];
    throw new SourceError(
      REASONS[code] ?? 'server_error',
      `DNS does not answer for ${name} (${code || String(error)})`,
    );
  }
}

const REASONS: { readonly [code: string]: Trouble } = {
  ETIMEOUT: 'timeout',
  ECONNREFUSED: 'connect',
  EBADRESP: 'bad_answer',
  EFORMERR: 'bad_answer',
  EREFUSED: 'forbidden',
};
