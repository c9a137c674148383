import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { networksOverlap } from '../../../src/ip/overlap.ts';
import { compileNetworks } from '../../../src/ip/network.ts';

const overlap = (a: string[], b: string[]): boolean =>
  networksOverlap(compileNetworks(a), compileNetworks(b));

test('networks overlap where they share an address', () => {
  assert.ok(overlap(['10.0.0.0/8'], ['10.3.0.0/24']));
  assert.ok(overlap(['10.3.0.0/24'], ['10.0.0.0/8']));
  assert.ok(overlap(['10.0.0.1'], ['10.0.0.1/32']));
  assert.ok(overlap(['2001:db8::/32'], ['2001:db8:1::1']));
  assert.ok(overlap(['::/0'], ['ffff::1']));
  assert.ok(overlap(['1.0.0.0/8', '9.0.0.0/8'], ['2.0.0.0/8', '9.255.255.255']));
  assert.ok(!overlap(['10.0.0.0/25'], ['10.0.0.128/25']));
  assert.ok(!overlap(['2001:db8:0:1::/64'], ['2001:db8:0:2::/64']));
  assert.ok(!overlap(['0.0.0.0/0'], ['::1']));
  assert.ok(!overlap([], ['0.0.0.0/0', '::/0']));
});

test('property: as comparing every pair does', () => {
  // Eight addresses are enough for every way in which two networks can lie.
  const network = fc.record({ address: fc.nat(7), prefix: fc.integer({ min: 29, max: 32 }) });
  const list = fc.array(network, { maxLength: 4 });
  fc.assert(
    fc.property(list, list, fc.boolean(), (a, b, v6) => {
      const text = ({ address, prefix }: { address: number; prefix: number }): string =>
        v6 ? `2001:db8::${address}/${prefix + 96}` : `203.0.113.${address}/${prefix}`;
      const meets = a.some((x) =>
        b.some((y) => {
          const shift = 32 - Math.min(x.prefix, y.prefix);
          return x.address >> shift === y.address >> shift;
        }),
      );
      assert.equal(overlap(a.map(text), b.map(text)), meets);
    }),
    { numRuns: 500 },
  );
});
