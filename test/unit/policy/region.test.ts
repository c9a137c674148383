import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openRegion, RegionError } from '../../../src/policy/region.ts';
import {
  sharedCopy,
  typed,
  writeMmdb,
  type Entry,
  type MmdbOptions,
  type Value,
} from '../../support/mmdb-writer.ts';
import { address } from './fixtures.ts';

function city(country: string, subdivisions: readonly string[], name: string): Value {
  return {
    city: { geoname_id: typed('uint32', 1_796_236), names: { de: `${name}-de`, en: name, 'zh-CN': '上海' } },
    country: { iso_code: country, is_in_european_union: false },
    location: { latitude: typed('double', 31.2222), longitude: typed('double', 121.4581) },
    subdivisions: subdivisions.map((iso) => ({ iso_code: iso, names: { en: iso } })),
  };
}

const ENTRIES: readonly Entry[] = [
  ['1.2.0.0/16', city('CN', ['SH'], 'Shanghai')],
  ['1.2.3.0/24', city('CN', ['BJ'], 'Beijing')],
  ['1.2.3.4/32', city('GB', ['ENG', 'LND'], 'London')],
  ['32.1.0.0/16', city('GB', [], 'London')],
  ['203.0.113.128/25', { country: { iso_code: 'fr' } }],
  ['198.51.100.0/24', { registered_country: { iso_code: 'US' } }],
];
const ENTRIES_6: readonly Entry[] = [
  ...ENTRIES,
  ['2001:db8::/32', city('DE', ['BE'], 'Berlin')],
  ['2001:db8:1::/48', city('DE', ['BY'], 'München')],
];

function open(entries: readonly Entry[], options: MmdbOptions) {
  return openRegion(sharedCopy(writeMmdb(entries, options)));
}

for (const recordSize of [24, 28, 32] as const) {
  for (const ipVersion of [4, 6] as const) {
    test(`reads a database of ${recordSize}-bit records and IPv${ipVersion} addresses`, () => {
      const region = open(ipVersion === 6 ? ENTRIES_6 : ENTRIES, { recordSize, ipVersion });
      const at = (text: string) => region.lookup(address(text));
      assert.deepEqual(at('1.2.9.9'), { country: 'CN', subdivisions: ['SH'], city: 'shanghai' });
      assert.deepEqual(at('1.2.3.9'), { country: 'CN', subdivisions: ['BJ'], city: 'beijing' });
      assert.deepEqual(at('1.2.3.4'), { country: 'GB', subdivisions: ['ENG', 'LND'], city: 'london' });
      assert.deepEqual(at('203.0.113.200'), { country: 'FR', subdivisions: [], city: '' });
      assert.deepEqual(at('203.0.113.1'), { country: '', subdivisions: [], city: '' });
      assert.deepEqual(at('198.51.100.7'), { country: '', subdivisions: [], city: '' });
      assert.deepEqual(at('::ffff:1.2.3.4').city, 'london');
      const berlin = at('2001:db8:2::1');
      if (ipVersion === 6) {
        assert.deepEqual(berlin, { country: 'DE', subdivisions: ['BE'], city: 'berlin' });
        assert.equal(at('2001:db8:1:2:3:4:5:6').city, 'münchen');
      } else {
        // Its first bits read as an IPv4 address are 32.1.13.184, which lies in the network of London.
        assert.equal(berlin.country, '');
      }
      assert.equal(at('2001:db9::').country, '');
    });
  }
}

test('an address that is not known has no region', () => {
  const region = open(ENTRIES, { recordSize: 24, ipVersion: 4 });
  assert.equal(region.lookup(address(undefined)).country, '');
});

test('records beyond 16 MiB use the upper four bits of a 28-bit record', () => {
  const filler: Value = { a: 'x'.repeat(9_000_000), b: 'y'.repeat(9_000_000) };
  const entries: Entry[] = [
    ['10.0.0.0/24', filler],
    ['200.0.0.0/24', city('CN', ['SH'], 'Shanghai')],
    ['100.0.0.0/24', city('DE', ['BE'], 'Berlin')],
  ];
  assert.throws(() => writeMmdb(entries, { recordSize: 24, ipVersion: 4 }), /too small/);
  const region = open(entries, { recordSize: 28, ipVersion: 4 });
  assert.equal(region.lookup(address('200.0.0.9')).city, 'shanghai');
  assert.equal(region.lookup(address('100.0.0.9')).city, 'berlin');
});

test('lookups are answered from memory the second time', () => {
  const bytes = sharedCopy(writeMmdb(ENTRIES, { recordSize: 24, ipVersion: 4 }));
  const region = openRegion(bytes);
  const first = region.lookup(address('1.2.3.4'));
  new Uint8Array(bytes).fill(0);
  assert.equal(region.lookup(address('1.2.3.4')), first);
});

test('a record that turns out damaged has no region and throws nothing', () => {
  const bytes = sharedCopy(writeMmdb(ENTRIES, { recordSize: 24, ipVersion: 4 }));
  const region = openRegion(bytes);
  new Uint8Array(bytes).fill(0xff);
  assert.deepEqual(region.lookup(address('1.2.9.9')), { country: '', subdivisions: [], city: '' });
});

const REFUSED: readonly [what: string, bytes: () => Uint8Array, says: RegExp][] = [
  ['no bytes', () => new Uint8Array(0), /not in MaxMind format/],
  ['text', () => Buffer.from('network,country\n1.2.3.0/24,CN\n'.repeat(100)), /not in MaxMind format/],
  [
    'a file cut off',
    () => writeMmdb(ENTRIES, { recordSize: 24, ipVersion: 4 }).subarray(0, 600),
    /not in MaxMind format/,
  ],
  [
    'a file with its beginning lost',
    () => writeMmdb(ENTRIES, { recordSize: 24, ipVersion: 4 }).subarray(300),
    /damaged|tells no country/,
  ],
  [
    'a database of networks, not of places',
    () =>
      writeMmdb([['1.2.0.0/16', { autonomous_system_number: typed('uint32', 64_496) }]], {
        recordSize: 24,
        ipVersion: 4,
        databaseType: 'GeoLite2-ASN',
      }),
    /\(GeoLite2-ASN\) tells no country/,
  ],
  ['an empty database', () => writeMmdb([], { recordSize: 24, ipVersion: 6 }), /tells no country/],
];

for (const [what, bytes, says] of REFUSED) {
  test(`${what}: refused with a clear error when it is opened`, () => {
    assert.throws(
      () => openRegion(sharedCopy(bytes())),
      (error: unknown) => {
        assert.ok(error instanceof RegionError);
        assert.equal(error.code, 'region_database_invalid');
        assert.match(error.message, says);
        assert.match(error.message, /GeoLite2-City\.mmdb/);
        return true;
      },
    );
  });
}

test('random damage is refused or survived, never thrown at a request', () => {
  const whole = writeMmdb(ENTRIES_6, { recordSize: 28, ipVersion: 6 });
  let state = 12_345;
  const random = (below: number): number => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
  for (let round = 0; round < 400; round++) {
    const bytes = Buffer.from(whole);
    for (let hit = 0; hit < 1 + random(8); hit++) bytes[random(bytes.length)] = random(256);
    let region;
    try {
      region = openRegion(sharedCopy(bytes));
    } catch (error) {
      assert.ok(error instanceof RegionError, String(error));
      continue;
    }
    for (const text of ['1.2.9.9', '1.2.3.4', '203.0.113.200', '2001:db8::1', '::1', '255.255.255.255']) {
      region.lookup(address(text));
    }
  }
});

test('a new file is told from the same one', () => {
  const options = { recordSize: 24, ipVersion: 4 } as const;
  const region = open(ENTRIES, options);
  assert.ok(region.isOf(sharedCopy(writeMmdb(ENTRIES, options))));
  assert.ok(!region.isOf(sharedCopy(writeMmdb(ENTRIES, { ...options, buildEpoch: 1_700_000_001 }))));
  assert.ok(!region.isOf(sharedCopy(writeMmdb(ENTRIES.slice(1), options))));
});

test('a database of countries alone, of subdivisions alone, or of cities alone is one of places', () => {
  const records: Value[] = [
    { country: { iso_code: 'CN' } },
    { subdivisions: [{ iso_code: 'SH' }] },
    { city: { names: { en: 'Shanghai' } } },
  ];
  for (const record of records) open([['1.2.0.0/16', record]], { recordSize: 24, ipVersion: 4 });
});
