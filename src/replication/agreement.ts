/** Whether replicas have alike what decides who gets which variant: what differs, in sentences, and the keys they share. */
import type { Digests, ReplicaRecord } from './replica-record.ts';

/** What running rollouts need every replica to know. */
export interface Pinned {
  /** Ids of keys that fingerprints are made with. */
  readonly keys: readonly string[];
  readonly bucketAlgorithms: readonly string[];
}

const NONE: Pinned = { keys: [], bucketAlgorithms: [] };
/** Names in one sentence. */
const MOST_NAMES = 5;

export function disagreementsOf(
  own: Digests,
  self: { readonly name: string },
  others: readonly ReplicaRecord[],
  pinned: Pinned = NONE,
): readonly string[] {
  return [...sharedNames(self, others), ...others.flatMap((record) => differences(own, record, pinned))];
}

/** Ids of the keys that all have, the same under the same id. */
export function agreedKeys(own: Digests, others: readonly ReplicaRecord[]): ReadonlySet<string> {
  return new Set(
    Object.entries(own.keys)
      .filter(([id, digest]) => others.every(({ digests }) => valueOf(digests.keys, id) === digest))
      .map(([id]) => id),
  );
}

function differences(own: Digests, { name, digests }: ReplicaRecord, pinned: Pinned): string[] {
  const found: string[] = [];
  const otherKeys = Object.keys(own.keys).filter((id) => {
    const theirs = valueOf(digests.keys, id);
    return theirs !== undefined && theirs !== own.keys[id];
  });
  if (otherKeys.length > 0) {
    found.push(`${name} has another secret under the key ${listed(otherKeys)} of the key ring`);
  } else if (!Object.keys(own.keys).some((id) => valueOf(digests.keys, id) !== undefined)) {
    found.push(`the key ring of ${name} has no key in common with this one`);
  }
  const lacking = pinned.keys.filter((id) => valueOf(digests.keys, id) === undefined);
  if (lacking.length > 0) {
    found.push(`${name} lacks the key ${listed(lacking)}, which a running rollout makes fingerprints with`);
  }
  found.push(...named(name, 'segment', own.segments, digests.segments));
  if (own.region !== digests.region) {
    const what =
      digests.region === ''
        ? 'has no region database'
        : own.region === ''
          ? 'has a region database, this replica has none'
          : 'has another region database';
    found.push(`${name} ${what}`);
  }
  found.push(...named(name, 'service', own.services, digests.services));
  const unknown = pinned.bucketAlgorithms.filter((one) => !digests.bucketAlgorithms.includes(one));
  if (unknown.length > 0) {
    found.push(`${name} does not know the bucket algorithm ${listed(unknown)} of a running rollout`);
  } else if (!own.bucketAlgorithms.some((one) => digests.bucketAlgorithms.includes(one))) {
    found.push(`${name} knows no bucket algorithm that this replica knows`);
  }
  return found;
}

type Named = { readonly [name: string]: string };

function named(replica: string, kind: string, own: Named, theirs: Named): string[] {
  const missing = Object.keys(own).filter((name) => valueOf(theirs, name) === undefined);
  const extra = Object.keys(theirs).filter((name) => valueOf(own, name) === undefined);
  const different = Object.keys(own).filter((name) => {
    const value = valueOf(theirs, name);
    return value !== undefined && value !== own[name];
  });
  return [
    ...(missing.length > 0 ? [`${replica} lacks the ${kind} ${listed(missing)}`] : []),
    ...(extra.length > 0 ? [`${replica} has the ${kind} ${listed(extra)}, this replica has not`] : []),
    ...(different.length > 0 ? [`${replica} defines the ${kind} ${listed(different)} otherwise`] : []),
  ];
}

function sharedNames(self: { readonly name: string }, others: readonly ReplicaRecord[]): string[] {
  const seen = new Set([self.name]);
  const twice = new Set(
    others.filter(({ name }) => seen.size === seen.add(name).size).map(({ name }) => name),
  );
  return [...twice].map((name) => `two live replicas are called "${name}"; give each its own fleet.name`);
}

/** Names come from other processes: one may be called like a method. */
function valueOf(values: Named, name: string): string | undefined {
  return Object.hasOwn(values, name) ? values[name] : undefined;
}

function listed(names: readonly string[]): string {
  const shown = names.slice(0, MOST_NAMES).map((name) => `"${name}"`);
  return names.length > MOST_NAMES
    ? `${shown.join(', ')} and ${names.length - MOST_NAMES} more`
    : shown.join(', ');
}
