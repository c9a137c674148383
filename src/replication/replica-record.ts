/**
 * What a replica tells the others about itself, through the store and directly. Plain data.
 *
 * Within one boot of a replica a record with a higher sequence replaces those before it; nothing else orders records.
 * Another version of Serin may say more: fields that this one does not know are left out of account.
 */
import { Type } from 'typebox';
import { checkSchema } from '../schema/check.ts';
import { parsedJson } from '../schema/json-value.ts';

/** What all replicas must have alike, each as a short digest of its contents. */
export interface Digests {
  /** The keys of the ring, by id. */
  readonly keys: { readonly [id: string]: string };
  /** The segments, by name. */
  readonly segments: { readonly [name: string]: string };
  /** The region database; `''`: none. */
  readonly region: string;
  /** The services that the configuration file defines, by name, as far as they decide who gets what. */
  readonly services: { readonly [name: string]: string };
  /** The bucket algorithms that it knows. */
  readonly bucketAlgorithms: readonly string[];
}

export interface ReplicaRecord {
  /** Unique among the replicas; it outlives a restart. */
  readonly name: string;
  /** Random, new with each start of the process. */
  readonly boot: string;
  readonly sequence: number;
  /** Serin's own version. */
  readonly version: string;
  /** `host:port` where the other replicas reach it. */
  readonly address: string;
  /** RFC 3339. */
  readonly startedAt: string;
  /** The last revision that it knows and has on its disk, and the change that made it. */
  readonly revision: number;
  readonly changeId: string;
  /** The revision that each worker decides by; -1: none. */
  readonly workers: readonly { readonly index: number; readonly revision: number }[];
  /**
   * Ids of the rollouts that all its workers treat as rolled back, and that it has on its disk: those that the store does not know
   * yet as far as this replica knows, and those that it has come to know of late.
   */
  readonly rolledBack: readonly string[];
  /** Services whose newest document it cannot read; it serves them by the former one. */
  readonly faults: readonly {
    readonly service: string;
    readonly revision: number;
    readonly detail: string;
  }[];
  /** It has lost the store for so long that it gives stable to everybody. */
  readonly fenced: boolean;
  readonly digests: Digests;
}

const name = Type.String({
  minLength: 1,
  maxLength: 253,
  pattern: '^[A-Za-z0-9._-]+$',
  description: 'a name',
});
const text = (maxLength: number) => Type.String({ maxLength });
const digests = Type.Record(Type.String(), text(64));
const revision = Type.Integer({ minimum: -1, maximum: Number.MAX_SAFE_INTEGER });

/** The record's schema: open, but what there is must be right. */
export const ReplicaRecordSchema = Type.Object({
  name,
  boot: Type.String({ minLength: 1, maxLength: 64 }),
  sequence: Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER }),
  version: text(64),
  address: text(300),
  startedAt: text(64),
  revision,
  changeId: text(128),
  workers: Type.Array(Type.Object({ index: Type.Integer({ minimum: 0, maximum: 1023 }), revision }), {
    maxItems: 1024,
  }),
  rolledBack: Type.Array(text(128), { maxItems: 10_000 }),
  faults: Type.Array(Type.Object({ service: text(128), revision, detail: text(4096) }), { maxItems: 10_000 }),
  fenced: Type.Boolean(),
  digests: Type.Object({
    keys: digests,
    segments: digests,
    region: text(64),
    services: digests,
    bucketAlgorithms: Type.Array(text(64), { maxItems: 100 }),
  }),
});

const check = checkSchema(ReplicaRecordSchema);

/** Reads a record as the store keeps it. A string is the reason why it is none. */
export function parseReplicaRecord(json: string): ReplicaRecord | string {
  const value = parsedJson(json);
  if (value === undefined) return 'not JSON';
  const [fault] = check(value);
  return fault === undefined ? (value as ReplicaRecord) : `${fault.pointer} ${fault.detail}`;
}
