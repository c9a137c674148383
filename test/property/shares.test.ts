import assert from 'node:assert/strict';
import { test } from 'node:test';
import { compilePolicy } from '../../src/policy/compile.ts';
import { context, rollout, service } from '../unit/policy/fixtures.ts';
import { BY_HEADER, eachUser } from './users.ts';

const USERS = 40_000;
const within = context();

function everyone(percentage: number, epoch = 1, seed = 'a'.repeat(32)) {
  return compilePolicy(
    service({ ...BY_HEADER, rollout: rollout([{ name: 'everyone', percentage }], { epoch, seed }) }),
    within,
  );
}

test('the share of users is the percentage, within the binomial bound, for every percentage', () => {
  // Buckets are the same at every percentage, so one pass tells all shares; decisions are checked against it.
  const buckets: number[] = [];
  eachUser(everyone(100), USERS, ({ bucket }) => void buckets.push(bucket));
  const sorted = buckets.toSorted((a, b) => a - b);
  let below = 0;
  for (let percentage = 1; percentage <= 100; percentage++) {
    while (below < USERS && sorted[below]! < percentage * 10_000) below++;
    const p = percentage / 100;
    const bound = 4 * Math.sqrt(USERS * p * (1 - p));
    assert.ok(Math.abs(below - USERS * p) <= bound, `${percentage} %: ${below} of ${USERS}, ± ${bound}`);
  }
  for (const percentage of [0, 0.01, 1, 10, 20, 33.3333, 50, 99.9999, 100]) {
    let canary = 0;
    eachUser(everyone(percentage), USERS / 8, ({ variant }, number) => {
      assert.equal(variant === 'canary', buckets[number]! < percentage * 10_000);
      if (variant === 'canary') canary++;
    });
    const p = percentage / 100;
    assert.ok(Math.abs(canary - (USERS / 8) * p) <= 4 * Math.sqrt((USERS / 8) * p * (1 - p)) + 1);
  }
});

test('two epochs, two seeds and two services expose users independently of each other', () => {
  const first = new Uint8Array(USERS);
  eachUser(everyone(20), USERS, ({ variant }, number) => void (first[number] = variant === 'canary' ? 1 : 0));
  const other = compilePolicy(
    service({
      ...BY_HEADER,
      name: 'other',
      rollout: rollout([{ name: 'everyone', percentage: 20 }], { seed: 'a'.repeat(32) }),
    }),
    within,
  );
  for (const second of [everyone(20, 2), everyone(20, 1, 'b'.repeat(32)), other]) {
    let both = 0;
    eachUser(second, USERS, ({ variant }, number) => {
      if (variant === 'canary' && first[number] === 1) both++;
    });
    // Independent: 4 % are in both.
    const expected = USERS * 0.04;
    assert.ok(
      Math.abs(both - expected) <= 4 * Math.sqrt(USERS * 0.04 * 0.96),
      `${both} in both, not ${expected}`,
    );
  }
});

test('buckets of two epochs do not correlate', () => {
  const buckets: number[] = [];
  eachUser(everyone(20), USERS, ({ bucket }) => void buckets.push(bucket));
  let product = 0;
  eachUser(everyone(20, 2), USERS, ({ bucket }, number) => {
    product += (buckets[number]! / 1e6 - 0.5) * (bucket / 1e6 - 0.5);
  });
  // The correlation of independent uniforms: product / n over the variance 1/12, with standard error 1/√n.
  const correlation = (product / USERS) * 12;
  assert.ok(Math.abs(correlation) < 4 / Math.sqrt(USERS), `${correlation}`);
});
