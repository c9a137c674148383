/**
 * Short digests of what all replicas must have alike. Equal contents give equal digests, on every machine and at every
 * start; a digest of a key tells nothing of its secret.
 */
import { hash } from 'node:crypto';
import { DEFAULT_IDENTITY, pathPrefix, type ServiceDefinition } from '../config/service.ts';
import type { Configuration } from '../config/schema.ts';
import { type KeyData, KeyRing } from '../policy/keys.ts';
import type { Digests } from './replica-record.ts';

/** Characters of a digest: 96 bits. */
const LENGTH = 16;

/**
 * Digests of a configuration and a region database beside these keys and algorithms. What was digested last is
 * remembered, by identity: asking again costs nothing until one of them is another.
 */
export function createDigester(
  keys: readonly KeyData[],
  bucketAlgorithms: readonly string[],
): (configuration: Configuration, regionDatabase: SharedArrayBuffer | null) => Digests {
  const keyDigests = Object.fromEntries(
    keys.map((key) => [key.id, cut(new KeyRing([key]).sign('digest', 'key'))]),
  );
  let region: { readonly database: SharedArrayBuffer | null; readonly digest: string } | null = null;
  let last: { readonly configuration: Configuration; readonly digests: Digests } | null = null;
  return (configuration, database) => {
    const known = region !== null && region.database === database;
    if (known && last !== null && last.configuration === configuration) return last.digests;
    if (!known) region = { database, digest: database === null ? '' : digest(new Uint8Array(database)) };
    const { segments = {}, services = {} } = configuration;
    const digests: Digests = {
      keys: keyDigests,
      segments: mapped(segments, (list) => digest(JSON.stringify(networks(list)))),
      region: region!.digest,
      services: mapped(services, (service) => digest(JSON.stringify(deciding(service)))),
      bucketAlgorithms,
    };
    last = { configuration, digests };
    return digests;
  };
}

/** A list of networks, whatever the order and the letters it is written in. */
function networks(list: readonly string[]): readonly string[] {
  return [...new Set(list.map((text) => text.trim().toLowerCase()))].toSorted();
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
  digestOf: (value: T) => string,
): { readonly [name: string]: string } {
  const entries = Object.entries(values).toSorted(([a], [b]) => (a < b ? -1 : 1));
  return Object.fromEntries(entries.map(([name, value]) => [name, digestOf(value)]));
}

function digest(contents: string | Uint8Array): string {
  return cut(hash('sha256', contents, 'base64url'));
}

function cut(text: string): string {
  return text.slice(0, LENGTH);
}
