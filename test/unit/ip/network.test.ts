import assert from 'node:assert/strict';
import { BlockList } from 'node:net';
import { test } from 'node:test';
import * as fc from 'fast-check';
import ipaddr from 'ipaddr.js';
import { DocumentError } from '../../../src/schema/faults.ts';
import { NetworkIndex } from '../../../src/policy/conditions/network-index.ts';
import { compileNetworks, EMPTY_NETWORKS, NetworkSet, parseNetwork } from '../../../src/ip/network.ts';
import { address, characters } from '../policy/fixtures.ts';

function setOf(...cidrs: string[]): NetworkSet {
  return new NetworkSet(compileNetworks(cidrs));
}

test('both ends of a network are in it, their neighbours are not', () => {
  const set = setOf('10.8.0.0/16', '203.0.113.7', '2001:db8::/32', '2001:db9::5');
  for (const inside of [
    '10.8.0.0',
    '10.8.255.255',
    '203.0.113.7',
    '2001:db8::',
    '2001:db8:ffff:ffff:ffff:ffff:ffff:ffff',
    '2001:db9::5',
  ]) {
    assert.ok(set.contains(address(inside)), inside);
  }
  for (const outside of [
    '10.7.255.255',
    '10.9.0.0',
    '203.0.113.6',
    '203.0.113.8',
    '2001:db7:ffff::',
    '2001:db9::',
    '2001:db9::4',
    '2001:db9::6',
    '::',
  ]) {
    assert.ok(!set.contains(address(outside)), outside);
  }
  assert.equal(set.size, 4);
});

test('whole address families', () => {
  const v4 = setOf('0.0.0.0/0');
  assert.ok(v4.contains(address('0.0.0.0')) && v4.contains(address('255.255.255.255')));
  assert.ok(!v4.contains(address('::')));
  const v6 = setOf('::/0');
  assert.ok(v6.contains(address('::')) && v6.contains(address('ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff')));
  assert.ok(!v6.contains(address('1.2.3.4')));
});

test('an empty set and an unknown address hold nothing', () => {
  assert.ok(!new NetworkSet(EMPTY_NETWORKS).contains(address('1.2.3.4')));
  assert.ok(!new NetworkSet(EMPTY_NETWORKS).contains(address('::1')));
  assert.ok(!setOf('0.0.0.0/0', '::/0').contains(address(undefined)));
});

test('bits beyond the prefix do not count', () => {
  assert.ok(setOf('10.8.77.1/16').contains(address('10.8.0.0')));
  assert.ok(setOf('2001:db8::1/32').contains(address('2001:db8:ff::')));
});

test('IPv4-mapped networks are IPv4', () => {
  assert.ok(setOf('::ffff:10.8.0.0/112').contains(address('10.8.9.9')));
  assert.ok(setOf('::ffff:10.8.0.1').contains(address('::ffff:10.8.0.1')));
  assert.ok(setOf('::ffff:0.0.0.0/96').contains(address('9.9.9.9')));
  assert.match(JSON.stringify(parseNetwork('::ffff:0.0.0.0/95')), /write the networks apart/);
});

test('overlapping and adjacent networks become one interval', () => {
  const data = compileNetworks([
    '10.0.0.0/9',
    '10.128.0.0/9',
    '10.1.0.0/16',
    '11.0.0.0/8',
    '2001:db8::/33',
    '2001:db8:8000::/33',
  ]);
  assert.deepEqual([...new Uint32Array(data.v4)], [0x0a000000, 0x0bffffff]);
  assert.deepEqual(
    [...new Uint32Array(data.v6)],
    [0x20010db8, 0, 0, 0, 0x20010db8, 0xffffffff, 0xffffffff, 0xffffffff],
  );
  assert.deepEqual(
    [...new Uint32Array(compileNetworks(['::/0', 'ffff::/16']).v6)],
    [0, 0, 0, 0, ...Array<number>(4).fill(0xffffffff)],
  );
});

test('adjacent IPv6 networks become one across every word', () => {
  for (const [first, second] of [
    ['2001:db8::/32', '2001:db9::/32'],
    ['2001:db8:0:1::/64', '2001:db8:0:2::/63'],
    ['2001:db8::ffff:0:0/96', '2001:db8::1:0:0:0/80'],
    ['2001:db8::1', '2001:db8::2'],
  ] as const) {
    assert.equal(new Uint32Array(compileNetworks([second, first]).v6).length, 8, first);
  }
});

test('each fault has the index of its network and says what would be right', () => {
  assert.throws(
    () =>
      compileNetworks([
        '10.0.0.0/8',
        '10.0.0.0/33',
        'office',
        '2001:db8::/129',
        '1.2.3.4/',
        '1.2.3.4/08',
        'fe80::1%eth0/64',
      ]),
    (error: unknown) => {
      assert.ok(error instanceof DocumentError);
      assert.equal(error.code, 'networks_invalid');
      assert.deepEqual(
        error.faults.map(({ pointer }) => pointer),
        ['/1', '/2', '/3', '/4', '/5', '/6'],
      );
      assert.match(error.faults[0]!.detail, /"10\.0\.0\.0\/33".*from 0 to 32/);
      assert.match(error.faults[1]!.detail, /"office" is not a network; write it like 203\.0\.113\.0\/24/);
      assert.match(error.faults[2]!.detail, /from 0 to 128/);
      return true;
    },
  );
});

test('a long list of faults is cut, a long text clipped', () => {
  assert.throws(
    () => compileNetworks(Array.from({ length: 1000 }, () => 'x'.repeat(500))),
    (error: unknown) => {
      assert.ok(error instanceof DocumentError);
      assert.equal(error.faults.length, 50);
      assert.ok(error.faults.every(({ detail }) => detail.length < 200));
      return true;
    },
  );
});

/** Networks that often lie in and next to each other. */
const cidr4 = fc
  .tuple(fc.nat(3), fc.nat(255), fc.nat(255), fc.nat(255), fc.nat(32))
  .map(([a, b, c, d, prefix]) => `${10 + a}.${b}.${c}.${d}/${prefix}`);
const cidr6 = fc
  .tuple(
    fc.array(fc.constantFrom('0', '1', '8000', 'ffff', 'db8'), { minLength: 8, maxLength: 8 }),
    fc.nat(128),
  )
  .filter(([groups]) => groups[0] !== '0')
  .map(([groups, prefix]) => `${groups.join(':')}/${prefix}`);
const anyCidr = fc.oneof(cidr4, cidr6);

/** An address at, in, or next to an end of one of the networks, or anywhere. */
function probe(cidrs: readonly string[], chosen: number, offset: number): string {
  if (cidrs.length === 0) return '1.2.3.4';
  const [base, prefix] = ipaddr.parseCIDR(cidrs[chosen % cidrs.length]!);
  const bytes = base.toByteArray();
  const bits = bytes.length * 8;
  let value = BigInt(`0x${Buffer.from(bytes).toString('hex')}`);
  const free = BigInt(bits - prefix);
  value = (value >> free) << free;
  if (offset % 2 === 1) value += (1n << free) - 1n;
  value += BigInt((offset % 5) - 2);
  const top = 1n << BigInt(bits);
  value = ((value % top) + top) % top;
  const hex = value.toString(16).padStart(bits / 4, '0');
  return ipaddr.fromByteArray([...Buffer.from(hex, 'hex')]).toString();
}

test('agrees with node:net BlockList', () => {
  fc.assert(
    fc.property(fc.array(anyCidr, { maxLength: 12 }), fc.nat(), fc.nat(9), (cidrs, chosen, offset) => {
      const set = setOf(...cidrs);
      const text = probe(cidrs, chosen, offset);
      const family = text.includes(':') ? 'ipv6' : 'ipv4';
      // BlockList takes IPv4 for mapped IPv6 as well; here the families are apart.
      fc.pre(!text.startsWith('::ffff:'));
      const reference = new BlockList();
      for (const cidr of cidrs) {
        const [base = '', prefix = ''] = cidr.split('/');
        if (base.includes(':') === (family === 'ipv6')) reference.addSubnet(base, Number(prefix), family);
      }
      assert.equal(
        set.contains(address(text)),
        reference.check(text, family),
        `${text} in ${cidrs.join(' ')}`,
      );
    }),
    { numRuns: 3000 },
  );
});

test('100,000 networks: the same answers as testing them one by one', () => {
  const cidrs: string[] = [];
  let state = 1;
  const random = (): number => (state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0);
  for (let index = 0; index < 100_000; index++) {
    const at = random();
    cidrs.push(`${at >>> 24}.${(at >>> 16) & 255}.${(at >>> 8) & 255}.${at & 255}/${20 + (random() % 13)}`);
  }
  const set = setOf(...cidrs);
  const known = new Set<string>();
  for (const cidr of cidrs) {
    const [base = '', prefix = ''] = cidr.split('/');
    known.add(`${(address(base).v4 & (-1 << (32 - Number(prefix)))) >>> 0}/${prefix}`);
  }
  let inside = 0;
  for (let index = 0; index < 20_000; index++) {
    const v4 = random();
    let expected = false;
    for (let prefix = 20; prefix <= 32 && !expected; prefix++) {
      expected = known.has(`${(v4 & (-1 << (32 - prefix))) >>> 0}/${prefix}`);
    }
    const text = `${v4 >>> 24}.${(v4 >>> 16) & 255}.${(v4 >>> 8) & 255}.${v4 & 255}`;
    assert.equal(set.contains(address(text)), expected, text);
    if (expected) inside++;
  }
  assert.ok(inside > 100 && inside < 19_900);
});

test('an index of many sets names those that hold an address', () => {
  fc.assert(
    fc.property(
      fc.array(fc.array(anyCidr, { maxLength: 5 }), { minLength: 1, maxLength: 10 }),
      fc.nat(),
      fc.nat(9),
      fc.constantFrom(0, 2, 512),
      (lists, chosen, offset, large) => {
        const sets = lists.map((list) => setOf(...list));
        const index = new NetworkIndex(sets, large);
        const client = address(probe(lists.flat(), chosen, offset));
        const found = new Set(index.find(client));
        for (const [at, set] of sets.entries()) {
          const apart = index.apart.includes(at);
          assert.equal(apart, set.v4.length / 2 + set.v6.length / 8 > large);
          if (!apart) assert.equal(found.has(at), set.contains(client));
        }
      },
    ),
    { numRuns: 2000 },
  );
});

test('sets that overlap beyond measure are asked one by one', () => {
  const sets = Array.from({ length: 20 }, (_, index) => setOf('10.0.0.0/8', `11.0.0.${index}/32`));
  assert.deepEqual(new NetworkIndex(sets).apart, []);
  const apart = new NetworkIndex(sets, 512, 20);
  assert.equal(apart.apart.length, 20);
  assert.deepEqual(apart.find(address('10.1.1.1')), []);
});

test('no text makes the reader of networks throw', () => {
  fc.assert(
    fc.property(
      fc.oneof(
        anyCidr,
        fc.string({ unit: fc.constantFrom(...characters('0123456789abcdef:./%')), maxLength: 50 }),
        fc.string(),
      ),
      (given) => {
        const found = parseNetwork(given);
        assert.ok(typeof found === 'string' || (found.prefix >= 0 && found.prefix <= 128));
      },
    ),
    { numRuns: 5000 },
  );
});
