/**
 * Short digests of what all replicas must have alike. Equal contents give equal digests, on every machine and at every
 * start; a digest of a key tells nothing of its secret.
 */
import { createHash, hash } from 'node:crypto';
import { setImmediate } from 'node:timers/promises';
import type { ConfiguredNetworks } from '../config/cross-checks.ts';
import { DEFAULT_IDENTITY, pathPrefix } from '../config/defaults.ts';
import type { Configuration, ServiceDefinition } from '../config/schema.ts';
import { type KeyData, KeyRing } from '../policy/keys.ts';
import { type Digests } from './replica-record.ts';

/** Characters of a digest: 96 bits. */
const LENGTH = 16;
/** Bytes that are digested in one turn of the event loop. */
const SLICE = 4 * 1_048_576;

export interface DigestSources {
  readonly services: Configuration['services'];
  readonly segments: ConfiguredNetworks['segments'];
  readonly keys: readonly KeyData[];
  /** By `digestRegion`. */
  readonly region: string;
  readonly bucketAlgorithms: readonly string[];
}

export function createDigests(sources: DigestSources): Digests {
  const { services = {}, segments, keys, region, bucketAlgorithms } = sources;
  return {
    keys: Object.fromEntries(keys.map((key) => [key.id, new KeyRing([key]).sign('digest', 'key')])),
    segments: mapped(segments, ({ v4, v6 }) => {
      const both = createHash('sha256').update(`${v4.byteLength}\n`);
      return cut(both.update(copy(v4)).update(copy(v6)).digest('base64url'));
    }),
    region,
    services: mapped(services, (service) =>
      cut(hash('sha256', JSON.stringify(deciding(service)), 'base64url')),
    ),
    bucketAlgorithms,
  };
}

/** The digest of a region database; `''` of none. It gives way to other work, as databases have a hundred megabytes. */
export async function digestRegion(database: SharedArrayBuffer | null): Promise<string> {
  if (database === null) return '';
  const all = createHash('sha256');
  for (let at = 0; at < database.byteLength; at += SLICE) {
    all.update(new Uint8Array(database, at, Math.min(SLICE, database.byteLength - at)));
    await setImmediate();
  }
  return cut(all.digest('base64url'));
}

/** Of a service's definition, what decides who gets which variant. Where it runs, and how, may differ. */
function deciding(service: ServiceDefinition): unknown {
  const { hosts, identity = DEFAULT_IDENTITY, follow = [] } = service;
  return {
    hosts: hosts.map((host) => host.toLowerCase()).toSorted(),
    pathPrefix: pathPrefix(service),
    // Field by field: the order of fields in a file means nothing.
    identity: identity.map((tier) => Object.entries(tier).toSorted(([a], [b]) => (a < b ? -1 : 1))),
    follow: follow.toSorted(),
  };
}

function mapped<T>(
  values: { readonly [name: string]: T },
  digest: (value: T) => string,
): { readonly [name: string]: string } {
  const entries = Object.entries(values).toSorted(([a], [b]) => (a < b ? -1 : 1));
  return Object.fromEntries(entries.map(([name, value]) => [name, digest(value)]));
}

/** Hashes take no shared memory. */
function copy(shared: SharedArrayBuffer): Uint8Array {
  return new Uint8Array(shared).slice();
}

function cut(digest: string): string {
  return digest.slice(0, LENGTH);
}
