/** The commits that are kept in memory. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { withinBounds } from '../../../src/replication/recent-commits.ts';
import type { Commit } from '../../../src/store/store.ts';

function commit(revision: number, networks: number): Commit {
  const cidr = Array.from({ length: networks }, (_, index) => `10.${index >> 8}.${index & 255}.0/24`);
  return {
    revision,
    service: 'notes',
    kind: 'rollout.put',
    at: '2026-01-01T00:00:00Z',
    actor: 'test',
    reason: null,
    requestId: null,
    changeId: `c${revision}-00000000`,
    document: {
      definition: null,
      rollout: {
        id: 'r1',
        epoch: 1,
        seed: '',
        bucketAlgorithm: 'xxh64-1',
        fingerprintKey: 'k1',
        phase: 'running',
        document: { rules: [{ name: 'networks', match: { cidr }, percentage: 1 }] },
        step: -1,
        startedAt: '2026-01-01T00:00:00Z',
      },
    },
  };
}

test('two thousand small commits, few large ones, and the last one always', () => {
  const small = Array.from({ length: 2500 }, (_, index) => commit(index + 1, 1));
  assert.equal(withinBounds(small).length, 2000);
  assert.equal(withinBounds(small).at(-1)?.revision, 2500);
  const large = Array.from({ length: 5 }, (_, index) => commit(index + 1, 60_000));
  assert.deepEqual(
    withinBounds(large).map(({ revision }) => revision),
    [3, 4, 5],
  );
  assert.equal(withinBounds([commit(1, 10), commit(2, 300_000)]).length, 1);
  assert.deepEqual(withinBounds([]), []);
});
