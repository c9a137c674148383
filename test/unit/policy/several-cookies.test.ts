/** One name, several cookies: which counts does not depend on their order, and one that is forged hides none that is good. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { boundRollouts } from '../../../src/policy/identity/bound-rollouts.ts';
import { compileContext, compilePolicy } from '../../../src/policy/compile.ts';
import { FlipTable } from '../../../src/policy/flip.ts';
import { tagOf, withExclusion } from '../../../src/policy/latch/latch.ts';
import { createOverride } from '../../../src/policy/override.ts';
import { EMPTY_NETWORKS } from '../../../src/ip/network.ts';
import type { RolloutState } from '../../../src/policy/rollout.ts';
import {
  context,
  decideOnce,
  facts,
  idOf,
  KEYS,
  mint,
  mintedCookie,
  NOW,
  policy,
  rollout,
  service,
  serviceCookie,
} from './fixtures.ts';
import { explain } from '../../../src/policy/explain.ts';

const HALF = [{ name: 'everyone', percentage: 50 }];
const half = policy(HALF);
const shop = policy(HALF, { pathPrefix: '/shop' });
const JUNK = ['', 'x', `${idOf(9)}.${'A'.repeat(22)}`, 'y'.repeat(4000)];

const decided = (within: typeof half, ids: readonly string[]) => {
  const { variant, bucket, tier, setCookies } = decideOnce(within, { cookies: { serin_id: ids } });
  return { variant, bucket, tier, mints: setCookies.includes('serin_id=') };
};

test('a forged or foreign id before a good one does not hide it, nor one behind it', () => {
  for (const within of [half, shop]) {
    const good = mintedCookie(within, idOf(1));
    const alone = decided(within, [good]);
    assert.equal(alone.tier, 'minted');
    for (const junk of [...JUNK, serviceCookie(policy(HALF, { name: 'other' }), idOf(2))]) {
      for (const ids of [
        [junk, good],
        [good, junk],
        [junk, good, junk],
        [...JUNK, junk, good],
      ])
        assert.deepEqual(decided(within, ids), alone, junk.slice(0, 30));
    }
  }
});

test('of good ids the same one counts in every order', () => {
  const someId = fc
    .nat(4)
    .chain((number) =>
      fc.constantFrom(mintedCookie(half, idOf(number)), serviceCookie(half, idOf(number)), JUNK[2]!),
    );
  for (const within of [half, shop]) {
    fc.assert(
      fc.property(
        fc
          .uniqueArray(someId, { minLength: 2, maxLength: 6 })
          .chain((ids) => fc.tuple(fc.constant(ids), fc.shuffledSubarray(ids, { minLength: ids.length }))),
        ([ids, shuffled]) => assert.equal(decided(within, ids).bucket, decided(within, shuffled).bucket),
      ),
    );
  }
});

test('an id of the service alone counts under its prefix, one of the host where the service has the whole host', () => {
  const [host, own] = [mintedCookie(half, idOf(1)), serviceCookie(half, idOf(2))];
  assert.equal(decided(half, [own, host]).bucket, decided(half, [host]).bucket);
  assert.equal(decided(shop, [own, host]).bucket, decided(shop, [own]).bucket);
  assert.notEqual(decided(half, [host]).bucket, decided(half, [own]).bucket);
});

test('beside an id of other keys a new one is set for the service alone, but for the whole host by whoever has it', () => {
  const elsewhere = context({ keys: [{ id: 'other', secret: new Uint8Array(32).fill(1) }] });
  const strange = mintedCookie(policy(HALF, {}, [], elsewhere), idOf(1));
  const path = (within: typeof half, id: string) =>
    /serin_id=[^;]+; Path=([^;]+);/.exec(decideOnce(within, { cookies: { serin_id: id } }).setCookies)?.[1];
  assert.equal(path(shop, strange), '/shop');
  assert.equal(path(half, strange), '/');
  assert.equal(path(shop, 'junk'), '/');
});

test('an attacker who sends hundreds of forged ids costs no more than sixteen looks, and does not hide the last', () => {
  const good = mintedCookie(half, idOf(1));
  const forged = Array.from({ length: 300 }, (_, number) => `${idOf(number)}.${'A'.repeat(22)}`);
  let verified = 0;
  const { keys } = half.context;
  const verify = keys.verify.bind(keys);
  keys.verify = (...of) => {
    verified++;
    return verify(...of);
  };
  assert.equal(decided(half, [...forged, good]).tier, 'minted');
  keys.verify = verify;
  assert.ok(verified <= 2 * 17, `${verified}`);
});

test('latches of several paths say together what they say, in every order', () => {
  const rules = [
    { name: 'lab', match: { header: { 'x-lab': { present: true } } }, percentage: 100 },
    { name: 'office', match: { header: { 'x-office': { present: true } } }, percentage: 100 },
    { name: 'everyone', percentage: 0 },
  ];
  const exclude = [{ name: 'vip', match: { header: { 'x-vip': { present: true } } } }];
  const within = policy(rules, {}, exclude);
  const base = {
    scope: within.latchScope,
    bucket: 5,
    revision: 1,
    admitted: [tagOf('office')],
    excluded: [],
  };
  const { latches } = within.context;
  const seal = (latch: typeof base | ReturnType<typeof withExclusion>): string =>
    latches.seal(latch, within.rolloutTag);
  const office = seal(base);
  const excluded = seal(withExclusion(base, tagOf('vip'), true));
  const other = seal({ ...base, bucket: 3, admitted: [tagOf('lab')] });
  const reason = (...values: string[]): string =>
    decideOnce(within, { cookies: { serin_latch_notes: values } }).reason;
  assert.equal(reason(office), 'latch');
  for (const junk of JUNK) {
    assert.equal(reason(junk, office), 'latch');
    assert.equal(reason(office, junk), 'latch');
  }
  // An exclusion that one of them knows of counts.
  assert.equal(reason(office, excluded), 'exclude');
  assert.equal(reason(excluded, office), 'exclude');
  const seen = (...values: string[]) => {
    const { bucket, rule } = decideOnce(within, { cookies: { serin_latch_notes: values } });
    return { bucket, rule };
  };
  assert.deepEqual(seen(office, other), seen(other, office));
  assert.equal(seen(other, office).bucket, 3);
  // Nothing is set or expired, however many there are.
  assert.doesNotMatch(
    decideOnce(within, { cookies: { serin_latch_notes: [JUNK[1]!, office, office] } }).setCookies,
    /serin_latch/,
  );
});

test('of several override cookies the newest good one counts, in every order; of equal ones that which says never', () => {
  const { keys } = half.context;
  const make = (mode: 'always' | 'never', life: number, name = 'notes') =>
    createOverride(keys, name, mode, NOW, life);
  const outcome = (...values: string[]) => {
    const { reason, variant } = decideOnce(half, { cookies: { serin_override: values } });
    return reason === 'override' ? variant : reason === 'exclude' ? 'exclude' : 'none';
  };
  const always = make('always', 60);
  for (const junk of [
    '',
    'x',
    make('never', 600, 'other'),
    createOverride(keys, 'notes', 'never', NOW - 100, 10),
  ]) {
    assert.equal(outcome(junk, always), 'canary');
    assert.equal(outcome(always, junk), 'canary');
  }
  assert.equal(outcome(always, make('never', 30)), 'canary');
  assert.equal(outcome(make('never', 90), always), 'stable');
  assert.equal(outcome(always, make('never', 90)), 'stable');
  assert.equal(outcome(always, make('never', 60)), 'stable');
  assert.equal(outcome(make('never', 60), always), 'stable');
});

test("of an application's cookie the last that says something is the user", () => {
  const chain = policy(HALF, { identity: [{ cookie: 'uid' }, { fingerprint: true }] });
  const bucket = (...uid: string[]) => decideOnce(chain, { cookies: { uid } }).bucket;
  assert.equal(bucket('shop', 'ann'), bucket('ann'));
  assert.equal(bucket('', 'ann'), bucket('ann'));
  assert.equal(bucket('ann', ''), bucket('ann'));
  assert.notEqual(bucket('ann', 'shop'), bucket('ann'));
  assert.equal(decideOnce(chain, { cookies: { uid: ['', ''] } }).tier, 'fingerprint');
});

test('who shows two ids and loses the canary that one of them had is counted as a flip', () => {
  const ids = Array.from({ length: 60 }, (_, number) => mintedCookie(half, idOf(number)));
  const observe = (flips: FlipTable, ...serin_id: string[]) =>
    flips.observe(decideOnce(half, { cookies: { serin_id } }));
  const on = (variant: string) => ids.filter((id) => decided(half, [id]).variant === variant).toSorted();
  const [first] = on('stable');
  const last = on('canary').at(-1)!;
  const flips = new FlipTable();
  assert.equal(observe(flips, last), false);
  assert.equal(decided(half, [last, first!]).variant, 'stable');
  assert.equal(observe(flips, last, first!), true);
  assert.equal(observe(flips, last, first!), false, 'once');
});

test('explain finds what a request with several cookies gets', () => {
  const good = mintedCookie(half, idOf(3));
  const { identity, decision } = explain(
    half,
    { headers: { cookie: `serin_id=junk; serin_id=${good}` } },
    { nowSeconds: NOW, random: mint },
  );
  assert.equal(identity.value, idOf(3));
  assert.equal(identity.forged, true);
  assert.equal(decision.setCookies, '');
});

test('a new id is bound to the rollouts of all services that share a host, whose keys are the same', () => {
  const of = (
    name: string,
    host: string,
    over: Partial<RolloutState> | null = {},
    identity = service().identity,
  ) => ({
    name,
    hosts: [host],
    identity,
    rollout: over === null ? null : rollout(HALF, { id: name, ...over }),
  });
  const tags = (...services: ReturnType<typeof of>[]) =>
    Object.fromEntries([...boundRollouts(services)].map(([name, bound]) => [name, bound.tags]));
  const tag = (...names: string[]) => names.map(tagOf).join('');
  assert.deepEqual(tags(of('a', 'x.test'), of('b', 'x.test'), of('c', 'y.test'), of('d', 'x.test', null)), {
    a: tag('a', 'b'),
    b: tag('b', 'a'),
    c: tag('c'),
    d: tag('a', 'b'),
  });
  assert.equal(tags(of('a', '*'), of('b', 'x.test'))['b'], tag('b', 'a'));
  assert.equal(tags(of('a', '*.test'), of('b', 'x.test'))['b'], tag('b', 'a'));
  assert.equal(tags(of('a', '*.test'), of('b', 'test'))['b'], tag('b'));
  assert.equal(tags(of('a', 'x.test', { fingerprintKey: 'old' }), of('b', 'x.test'))['b'], tag('b'));
  assert.equal(tags(of('a', 'x.test', { phase: 'promoted' }), of('b', 'x.test'))['b'], tag('b'));
  assert.equal(tags(of('a', 'x.test', {}, [{ header: 'x-user' }]), of('b', 'x.test'))['b'], tag('b'));
  const many = Array.from({ length: 40 }, (_, number) => of(`s${number}`, 'x.test'));
  assert.equal(tags(...many)['s30']!.length, 16 * 8);
});

test('an id with the most rollouts that it can be bound to is read again by each of them', () => {
  const services = Array.from({ length: 16 }, (_, number) => ({
    ...service({ name: `s${number}`, rollout: rollout(HALF, { id: `r${number}` }) }),
    hosts: ['x.test'],
  }));
  const within = compileContext({
    segments: {},
    followPeers: EMPTY_NETWORKS,
    regionDatabase: null,
    keys: KEYS,
    services,
  });
  const policies = services.map((each) => compilePolicy(each, within));
  const { setCookies } = decideOnce(policies[3]!);
  const id = /serin_id=([^;]+);/.exec(setCookies)![1]!;
  for (const each of policies) {
    const { bucket, tier } = decideOnce(each, { client: '198.51.100.77', cookies: { serin_id: id } });
    assert.equal(tier, 'minted');
    assert.equal(bucket, decideOnce(each).bucket, 'the fingerprint that its first request was decided by');
  }
  assert.equal(facts().otherCookies('serin_id').length, 0);
});
