/** The judge of the live proof is awake: it sees a wrong variant, a flip and a failure, and knows what explains a move. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Sent } from '../../../bench/live/load.ts';
import { makeUsers, type User } from '../../../bench/live/users.ts';
import { verify, type Era, type Findings } from '../../../bench/live/verify.ts';
import { cookieSettings, serviceSettings } from '../../../src/config/service.ts';
import { EMPTY_NETWORKS } from '../../../src/ip/network.ts';
import type { RolloutState } from '../../../src/policy/rollout.ts';

const definition = { hosts: ['*'], stable: { endpoints: ['127.0.0.1:1'] } };
const policy = {
  name: 'notes',
  pathPrefix: '/',
  identity: [{ header: 'x-user-id' }],
  cookies: cookieSettings(definition),
  follow: [],
  settings: serviceSettings(definition),
  networks: {},
};
const source = {
  segments: {},
  followPeers: EMPTY_NETWORKS,
  regionDatabase: null,
  keys: [{ id: 'a', secret: new Uint8Array(32) }],
};

function rollout(percentage: number): RolloutState {
  return {
    id: 'rollout-of-the-test',
    epoch: 1,
    seed: '00112233445566778899aabbccddeeff',
    bucketAlgorithm: 'xxh64-1',
    fingerprintKey: 'a',
    phase: 'running',
    document: { rules: [{ name: 'everyone', percentage }] },
    step: -1,
    startedAt: '2026-01-01T00:00:00Z',
  };
}

/** Stable for everyone, then canary from 1000 (sent) to 1100 (applied) on, then stable again at 2000. */
const ERAS: Era[] = [
  { revision: 1, what: '0 %', rollout: rollout(0), sentAt: -Infinity, appliedAt: -Infinity },
  { revision: 2, what: '100 %', rollout: rollout(100), sentAt: 1000, appliedAt: 1100 },
  { revision: 3, what: '0 %', rollout: rollout(0), sentAt: 2000, appliedAt: 2100 },
];

const [user] = makeUsers(1) as [User];

function sent(sentAt: number, variant: 'stable' | 'canary', more: Partial<Sent> = {}): Sent {
  return {
    user,
    address: '198.51.100.1',
    cookies: '',
    sentAt,
    doneAt: sentAt + 10,
    variant,
    failure: '',
    ...more,
  };
}

const judged = (records: readonly Sent[]): Findings => verify(records, ERAS, policy, source, '127.0.0.1', 0);

test('what the policies explain is no finding', () => {
  const found = judged([sent(500, 'stable'), sent(1500, 'canary'), sent(2500, 'stable')]);
  assert.deepEqual([found.wrong, found.flips, found.failed], [[], [], []]);
  assert.deepEqual([found.exact, found.canary, found.moved], [3, 1, 2]);
});

test('a request that overlaps a change may have met either side of it', () => {
  for (const at of [995, 1050, 1095]) {
    for (const variant of ['stable', 'canary'] as const) {
      const found = judged([sent(at, variant)]);
      assert.deepEqual([found.wrong, found.exact], [[], 0], `${variant} at ${at}`);
    }
  }
});

test('a variant that no revision of the moment names is wrong', () => {
  assert.equal(judged([sent(900, 'canary')]).wrong.length, 1);
  assert.equal(judged([sent(1100, 'stable')]).wrong.length, 1);
  assert.equal(judged([sent(2100, 'canary')]).wrong.length, 1);
});

test('going from one variant to the other within a revision is a flip', () => {
  assert.equal(judged([sent(1200, 'canary'), sent(1300, 'stable')]).flips.length, 1);
  assert.equal(judged([sent(1200, 'stable'), sent(1300, 'canary')]).flips.length, 1);
  // Somewhere else other rules may hold: that a user gains the canary there is no flip, that one loses it is.
  const moved = { address: '203.0.113.1' };
  assert.equal(judged([sent(1200, 'stable'), sent(1300, 'canary', moved)]).flips.length, 0);
  assert.equal(judged([sent(1200, 'canary'), sent(1300, 'stable', moved)]).flips.length, 1);
});

test('a failure is a failure, and nothing else', () => {
  const found = judged([sent(500, 'stable', { failure: 'status 502' })]);
  assert.equal(found.failed.length, 1);
  assert.equal(found.wrong.length, 0);
});
