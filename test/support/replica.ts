/** Records of replicas as tests need them. */
import type { Digests, ReplicaRecord } from '../../src/replication/replica-record.ts';

export const DIGESTS: Digests = {
  keys: { k1: 'one' },
  segments: { office: 'four' },
  region: '',
  services: { notes: 'notes' },
  bucketAlgorithms: ['xxh64-1'],
};

/** A record of the boot `NAME-1` whose two workers decide by its revision. */
export function replica(name: string, more: Partial<ReplicaRecord> = {}): ReplicaRecord {
  const revision = more.revision ?? 7;
  return {
    name,
    boot: `${name}-1`,
    sequence: 1,
    version: '1.0.0',
    address: '10.0.0.1:9092',
    startedAt: '2026-01-31T12:00:00.000Z',
    revision,
    changeId: 'c7',
    workers: [
      { index: 0, revision },
      { index: 1, revision },
    ],
    rolledBack: [],
    faults: [],
    fenced: false,
    digests: DIGESTS,
    ...more,
  };
}
