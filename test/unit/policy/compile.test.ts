import assert from 'node:assert/strict';
import { test } from 'node:test';
import { compileContext, compilePolicy, type ContextSource } from '../../../src/policy/compile.ts';
import { networksKey, ruleNetworks, withoutLongLists } from '../../../src/policy/network-lists.ts';
import { DocumentError } from '../../../src/schema/faults.ts';
import { compileNetworks, EMPTY_NETWORKS } from '../../../src/ip/network.ts';
import { RegionError } from '../../../src/policy/region.ts';
import { sharedCopy, writeMmdb } from '../../support/mmdb-writer.ts';
import { context, decideOnce, KEYS, policy, rollout, service } from './fixtures.ts';

const database = (city = 'Shanghai'): SharedArrayBuffer =>
  sharedCopy(
    writeMmdb([['1.2.0.0/16', { country: { iso_code: 'CN' }, city: { names: { en: city } } }]], {
      recordSize: 24,
      ipVersion: 6,
    }),
  );

const source: ContextSource = { segments: {}, followPeers: EMPTY_NETWORKS, regionDatabase: null, keys: KEYS };

test('a context takes over what is the same: keys with their caches, devices, region', () => {
  const first = compileContext({ ...source, regionDatabase: database() });
  const same = compileContext({ ...source, regionDatabase: database(), keys: structuredClone(KEYS) }, first);
  for (const part of ['keys', 'mintedIds', 'latches', 'overrides', 'devices', 'region'] as const) {
    assert.equal(same[part], first[part], part);
  }
});

test('a context takes over nothing that differs', () => {
  const first = compileContext({ ...source, regionDatabase: database() });
  const keys = [{ id: 'k2', secret: new Uint8Array(32).fill(9) }, ...KEYS];
  const other = compileContext({ ...source, regionDatabase: database('Beijing, the capital'), keys }, first);
  for (const part of ['keys', 'mintedIds', 'latches', 'overrides', 'region'] as const) {
    assert.notEqual(other[part], first[part], part);
  }
  assert.equal(compileContext(source, first).region, null);
  const office = { office: compileNetworks(['203.0.113.0/24']) };
  assert.equal(compileContext({ ...source, segments: office }, first).segments.get('office')?.size, 1);
});

test('a database that is none is refused', () => {
  assert.throws(() => compileContext({ ...source, regionDatabase: new SharedArrayBuffer(100) }), RegionError);
});

test('the cidr lists of a document are named, so that they can be compiled ahead', () => {
  const list = ['10.8.0.0/16', '10.9.0.0/16'];
  const document = rollout(
    [
      { name: 'a', match: { cidr: list }, percentage: 100 },
      { name: 'b', match: { cidr: [...list] }, percentage: 1 },
      { name: 'c', match: { cidr: '192.0.2.0/24' }, percentage: 1 },
      { name: 'd', percentage: 1 },
    ],
    {},
    [{ name: 'x', match: { cidr: '198.51.100.0/24' } }],
  ).document;
  assert.deepEqual(ruleNetworks(document), {
    [networksKey(list)]: list,
    [networksKey(['192.0.2.0/24'])]: ['192.0.2.0/24'],
    [networksKey(['198.51.100.0/24'])]: ['198.51.100.0/24'],
  });
  assert.notEqual(networksKey(['a', 'b']), networksKey(['ab']));
});

test('a document is shortened once for each answer to what is compiled, not with every write', () => {
  const many = (first: number): string[] =>
    Array.from({ length: 150 }, (_, index) => `10.${first}.${index}.0/24`);
  const [one, two] = [many(1), many(2)];
  const { document } = rollout(
    [
      { name: 'a', match: { cidr: one }, percentage: 1 },
      { name: 'b', match: { cidr: two }, percentage: 1 },
    ],
    {},
  );
  const both = withoutLongLists(document, () => true);
  assert.equal(
    withoutLongLists(document, () => true),
    both,
  );
  assert.deepEqual(
    both.rules.map(({ match }) => networksKey([match!.cidr as string])),
    [networksKey(one), networksKey(two)],
  );
  const first = withoutLongLists(document, (key) => key === networksKey(one));
  assert.equal(first.rules[1], document.rules[1]);
  assert.notEqual(first.rules[0], document.rules[0]);
  assert.deepEqual(
    withoutLongLists(document, () => true),
    both,
  );
  assert.equal(
    withoutLongLists(document, () => false),
    document,
  );
});

test('networks compiled ahead are used', () => {
  const cidrs = ['10.8.0.0/16'];
  const rules = [{ name: 'a', match: { cidr: cidrs }, percentage: 100 }];
  const elsewhere = { [networksKey(cidrs)]: compileNetworks(['192.0.2.0/24']) };
  assert.equal(decideOnce(policy(rules), { client: '10.8.0.1' }).variant, 'canary');
  assert.equal(decideOnce(policy(rules, { networks: elsewhere }), { client: '10.8.0.1' }).variant, 'stable');
  assert.equal(decideOnce(policy(rules, { networks: elsewhere }), { client: '192.0.2.1' }).variant, 'canary');
});

test('networks that are none are refused when the policy is compiled', () => {
  assert.throws(
    () => policy([{ name: 'a', match: { cidr: '10.8.0.0/99' }, percentage: 100 }]),
    DocumentError,
  );
});

test('outside of a rollout no rule is compiled, so none can fail', () => {
  const broken = [{ name: 'a', match: { segment: 'gone' }, percentage: 100 }];
  for (const phase of ['idle', 'promoted', 'rolledBack'] as const) {
    compilePolicy(service({ rollout: rollout(broken, { phase }) }), context());
  }
  assert.throws(
    () => compilePolicy(service({ rollout: rollout(broken, { phase: 'paused' }) }), context()),
    DocumentError,
  );
});

test('salts differ by service, epoch and seed, so each release exposes other users first', () => {
  const bucket = (name: string, epoch: number, seed: string): number => {
    const compiled = compilePolicy(
      service({
        name,
        identity: [{ header: 'x-user-id' }],
        rollout: rollout([{ name: 'everyone', percentage: 1 }], { epoch, seed }),
      }),
      context(),
    );
    return decideOnce(compiled, { headers: { 'x-user-id': 'me' } }).bucket;
  };
  const all = [bucket('a', 1, 's'), bucket('b', 1, 's'), bucket('a', 2, 's'), bucket('a', 1, 't')];
  assert.equal(new Set(all).size, 4);
});
