import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { compileMatch, type Match } from '../../../src/policy/conditions/match.ts';
import { DeviceCache } from '../../../src/policy/device.ts';
import { compileNetworks, NetworkSet } from '../../../src/ip/network.ts';
import { openRegion } from '../../../src/policy/region.ts';
import { RequestView } from '../../../src/policy/conditions/request-view.ts';
import { allHold, RuleIndex } from '../../../src/policy/conditions/rule-index.ts';
import { sharedCopy, writeMmdb } from '../../support/mmdb-writer.ts';
import { anyMatch, anyRequest, facts } from './generators.ts';
import { IPHONE, type Request } from './fixtures.ts';

const region = openRegion(
  sharedCopy(
    writeMmdb(
      [
        [
          '10.0.0.0/9',
          {
            country: { iso_code: 'CN' },
            subdivisions: [{ iso_code: 'SH' }],
            city: { names: { en: 'Shanghai' } },
          },
        ],
        [
          '203.0.113.0/24',
          { country: { iso_code: 'GB' }, subdivisions: [{ iso_code: 'ENG' }, { iso_code: 'SH' }] },
        ],
      ],
      { recordSize: 24, ipVersion: 6 },
    ),
  ),
);
const segments = new Map([
  ['office', new NetworkSet(compileNetworks(['203.0.113.0/24', '2001:db8::/32']))],
  ['lab', new NetworkSet(compileNetworks(['10.0.0.0/8', '203.0.113.128/25']))],
]);

function compile(matches: readonly (Match | undefined)[], small: number) {
  const view = new RequestView();
  const sets = new Map<string, NetworkSet>();
  const context = {
    view,
    segments,
    devices: new DeviceCache(64),
    region,
    networks(cidrs: readonly string[]): NetworkSet {
      const key = cidrs.join();
      const set = sets.get(key) ?? new NetworkSet(compileNetworks(cidrs));
      sets.set(key, set);
      return set;
    },
  };
  const rules = matches.map((match) => ({ conditions: compileMatch(match, 'r', context) }));
  return { view, rules, index: new RuleIndex(rules, small) };
}

test('gives what testing every rule in turn gives, whatever the rules and the limit', () => {
  let found = 0;
  let asked = 0;
  fc.assert(
    fc.property(
      fc.array(fc.option(anyMatch, { nil: undefined, freq: 20 }), { maxLength: 30, size: 'max' }),
      fc.array(anyRequest, { minLength: 1, maxLength: 8, size: 'max' }),
      fc.integer({ min: 0, max: 100 }),
      (matches, requests, share) => {
        const { view, rules, index } = compile(matches, 0);
        for (const request of requests) {
          // Asked of a view that has seen no other request, so that nothing left over can agree with itself.
          const fresh = compile(matches, 0);
          fresh.view.begin(facts(request), request.headers?.['x-a']);
          view.begin(facts(request), request.headers?.['x-a']);
          const limit = Math.round((rules.length * share) / 100);
          const expected = fresh.rules.findIndex(
            ({ conditions }, rank) => rank < limit && allHold(conditions, fresh.view),
          );
          assert.equal(index.first(view, limit), expected);
          asked++;
          if (expected > 0) found++;
          view.end();
        }
      },
    ),
    { numRuns: 300 },
  );
  // Rules and requests that never meet would prove nothing.
  assert.ok(found > asked / 20 && found < asked, `${found} of ${asked}`);
});

/** A request that counts what is asked of it. */
function counted(request: Request): { facts: ReturnType<typeof facts>; asked: string[] } {
  const asked: string[] = [];
  const base = facts(request);
  return {
    asked,
    facts: {
      ...base,
      header(name) {
        asked.push(name);
        return base.header(name);
      },
    },
  };
}

test('of a thousand rules on one header, only those for its value are tested', () => {
  const { view, index } = compile(
    Array.from({ length: 1000 }, (_, number) => ({
      header: { 'x-customer': { equals: `c${number}` }, [`x-other-${number}`]: { equals: '1' } },
    })),
    12,
  );
  const { facts, asked } = counted({ headers: { 'x-customer': 'c777', 'x-other-777': '1' } });
  view.begin(facts, undefined);
  assert.equal(index.first(view, 1000), 777);
  assert.deepEqual(asked, ['x-customer', 'x-other-777']);
  view.end();
});

test('nothing is derived that no admitting rule reads', () => {
  const matches = [
    { header: { 'x-a': { equals: '1' } } },
    { device: { model: 'iPhone' } },
    ...Array.from({ length: 20 }, (_, number) => ({ header: { 'x-b': { equals: `${number}` } } })),
  ];
  for (const small of [0, 100]) {
    const { view, index } = compile(matches, small);
    const request = { headers: { 'user-agent': IPHONE, 'x-a': '1' } };
    const first = counted(request);
    view.begin(first.facts, undefined);
    assert.equal(index.first(view, 1), 0);
    assert.ok(!first.asked.includes('user-agent') && !first.asked.includes('x-b'));
    view.end();
    const second = counted({ headers: { 'user-agent': IPHONE } });
    view.begin(second.facts, undefined);
    assert.equal(index.first(view, 2), 1);
    assert.ok(second.asked.includes('user-agent') && !second.asked.includes('x-b'));
    view.end();
  }
});

test('a fact is read once, however many rules read it', () => {
  const { view, index } = compile(
    Array.from({ length: 10 }, (_, number) => ({ header: { 'x-v': { prefix: `${number}` } } })),
    12,
  );
  const { facts, asked } = counted({ headers: { 'x-v': 'none' } });
  view.begin(facts, undefined);
  assert.equal(index.first(view, 10), -1);
  assert.deepEqual(asked, ['x-v']);
  view.end();
});

test('a network list that is too large for the index is asked as well, and the first rule counts', () => {
  const many = Array.from({ length: 600 }, (_, number) => `10.${number >> 7}.${(number & 127) * 2}.0/24`);
  const matches = [
    { cidr: '192.0.2.0/24' },
    { cidr: [...many, '198.51.100.0/24'] },
    { cidr: '198.51.100.0/24' },
    { cidr: many },
  ];
  const { view, index } = compile(matches, 0);
  for (const [client, limit, expected] of [
    ['10.2.4.9', 4, 1],
    ['10.2.5.9', 4, -1],
    ['198.51.100.7', 4, 1],
    ['192.0.2.7', 4, 0],
    ['10.2.4.9', 1, -1],
  ] as const) {
    view.begin(facts({ client }), undefined);
    assert.equal(index.first(view, limit), expected, client);
    view.end();
  }
});
