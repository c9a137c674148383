/** What counts as taking the canary from users: a table, and users who are asked one by one. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { widens, type Match } from '../../../src/policy/conditions/match.ts';
import type { RolloutDocument } from '../../../src/policy/schema.ts';
import { decreasesBetween } from '../../../src/rollout/exposure.ts';

const everyone = (percentage: number) => ({ name: 'everyone', percentage });
const office = { name: 'office', match: { segment: 'office' }, percentage: 100 };
const vip = { name: 'vip', match: { header: { 'x-tier': { equals: 'vip' } } } };

test('each kind of decrease is found and named', () => {
  const before: RolloutDocument = { rules: [office, everyone(10)] };
  const cases: readonly (readonly [string, RolloutDocument, readonly string[]])[] = [
    ['nothing', before, []],
    ['raised', { rules: [office, everyone(20)] }, []],
    ['another order', { rules: [everyone(10), office] }, []],
    ['a rule more', { rules: [...before.rules, { name: 'more', percentage: 1 }] }, []],
    ['lowered', { rules: [office, everyone(9)] }, ['percentageLowered everyone']],
    ['removed', { rules: [everyone(10)] }, ['ruleRemoved office']],
    ['removed, but everyone is in', { rules: [everyone(100)] }, []],
    ['renamed', { rules: [{ ...office, name: 'hq' }, everyone(10)] }, ['ruleRemoved office']],
    [
      'other conditions',
      { rules: [{ ...office, match: { segment: 'campus' } }, everyone(10)] },
      ['conditionsChanged office'],
    ],
    [
      'one more segment',
      { rules: [{ ...office, match: { segment: ['campus', 'office'] } }, everyone(10)] },
      [],
    ],
    ['excluded', { ...before, exclude: [vip] }, ['excludeAdded vip']],
  ];
  for (const [name, after, expected] of cases) {
    const found = decreasesBetween(before, after);
    assert.deepEqual(
      found.map(({ kind, rule }) => `${kind} ${rule}`),
      expected,
      name,
    );
  }
});

test('an exclude may shrink, go, or change its name; it may not grow', () => {
  const rules = [everyone(50)];
  const both = { name: 'vip', match: { ...vip.match, method: 'GET' } };
  assert.deepEqual(decreasesBetween({ rules, exclude: [vip] }, { rules }), []);
  assert.deepEqual(decreasesBetween({ rules, exclude: [vip] }, { rules, exclude: [both] }), []);
  assert.deepEqual(
    decreasesBetween({ rules, exclude: [vip] }, { rules, exclude: [{ ...vip, name: 'gold' }] }),
    [],
  );
  const [grown] = decreasesBetween({ rules, exclude: [both] }, { rules, exclude: [vip] });
  assert.equal(grown?.kind, 'excludeChanged');
});

test('a rule at 0 % has nobody to lose', () => {
  assert.deepEqual(decreasesBetween({ rules: [everyone(0), office] }, { rules: [office] }), []);
});

test('conditions widen by having fewer of them, or more alternatives', () => {
  const a: Match = { segment: 'a', header: { x: { present: true }, y: { equals: '1' } } };
  assert.ok(widens(a, undefined));
  assert.ok(widens(a, { segment: ['a', 'b'] }));
  assert.ok(widens(a, { header: { y: { equals: '1' } } }));
  assert.ok(!widens(a, { header: { y: { equals: '2' } } }));
  assert.ok(!widens(a, { ...a, path: { prefix: '/x' } }));
  assert.ok(!widens({ cidr: ['10.0.0.0/8', '11.0.0.0/8'] }, { cidr: '10.0.0.0/8' }));
  assert.ok(!widens(undefined, a));
});

/** A user: a bucket in percent, and what it has of the conditions. Judged here by a reading of the rules of its own. */
interface User {
  readonly bucket: number;
  readonly segments: readonly string[];
  readonly method: string;
}

function meets(user: User, match: Match | undefined): boolean {
  const { segment = [], method = [] } = match ?? {};
  const anyOf = (wanted: string | string[], had: readonly string[]): boolean =>
    wanted.length === 0 || [wanted].flat().some((one) => had.includes(one));
  return anyOf(segment, user.segments) && anyOf(method, [user.method]);
}

function hasCanary(user: User, { rules, exclude = [] }: RolloutDocument): boolean {
  if (exclude.some(({ match }) => meets(user, match))) return false;
  return rules.some(({ match, percentage }) => meets(user, match) && user.bucket < percentage);
}

const names = fc.subarray(['a', 'b', 'c'], { minLength: 1 });
const match: fc.Arbitrary<Match | undefined> = fc.oneof(
  fc.constant(undefined),
  names.map((segment) => ({ segment })),
  names.map((segment) => ({ segment, method: 'GET' })),
  fc.constant<Match>({ method: ['GET', 'POST'] }),
);
const percentage = fc.constantFrom(0, 1, 10, 50, 100);
const documents: fc.Arbitrary<RolloutDocument> = fc
  .record({
    rules: fc.uniqueArray(
      fc.record({ name: fc.constantFrom('everyone', 'office', 'campus'), match, percentage }),
      { minLength: 1, selector: ({ name }) => name },
    ),
    exclude: fc.uniqueArray(fc.record({ name: fc.constantFrom('vip', 'gold'), match }), {
      maxLength: 2,
      selector: ({ name }) => name,
    }),
  })
  .map(({ rules, exclude }) => ({
    rules: rules.map(({ match: conditions, ...rule }) =>
      conditions === undefined ? rule : { ...rule, match: conditions },
    ),
    exclude: exclude.flatMap(({ name, match: conditions }) =>
      conditions === undefined ? [] : [{ name, match: conditions }],
    ),
  }));
const USERS: readonly User[] = [0, 5, 30, 70].flatMap((bucket) =>
  [[], ['a'], ['b'], ['a', 'c'], ['a', 'b', 'c']].flatMap((segments) =>
    ['GET', 'POST', 'PUT'].map((method) => ({ bucket, segments, method })),
  ),
);

test('where no decrease is found, no user loses the canary', () => {
  let harmless = 0;
  fc.assert(
    fc.property(documents, documents, (before, after) => {
      if (decreasesBetween(before, after).length > 0) return;
      harmless += 1;
      for (const user of USERS) {
        assert.ok(!hasCanary(user, before) || hasCanary(user, after), JSON.stringify(user));
      }
    }),
    { numRuns: 5000 },
  );
  assert.ok(harmless > 200, `only ${harmless} pairs were harmless`);
});

test('thousands of excludes that all change are compared a bounded number of times', () => {
  const rules = [everyone(50)];
  let asked = 0;
  const excludes = (value: string) =>
    Array.from({ length: 3000 }, (_, index) => ({
      name: `exclude ${index}`,
      get match(): Match {
        asked += 1;
        return { header: { 'x-tier': { equals: `${value} ${index}` } } };
      },
    }));
  const [before, after] = [excludes('old'), excludes('new')];
  const decreases = decreasesBetween({ rules, exclude: before }, { rules, exclude: after });
  assert.equal(decreases.length, 3000);
  assert.ok(decreases.every(({ kind }) => kind === 'excludeChanged'));
  assert.ok(asked < 250_000, `${asked} comparisons`);
});
