/** Where requests are never sent to: every notation of an address that leads there, and no address beside. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { addressV4, parseAddress } from '../../../src/ip/address.ts';
import { isLocalName, refuseDestination } from '../../../src/ip/destination.ts';

function refusal(text: string, loopback = false): string | null {
  const address = parseAddress(text);
  assert.ok(address !== null, text);
  return refuseDestination(address, loopback);
}

/** The notations of IPv6 that carry an IPv4 address, given as four bytes. */
const CARRIERS: readonly ((a: number, b: number, c: number, d: number) => string)[] = [
  (...v4) => `::ffff:${v4.join('.')}`,
  (...v4) => `::${v4.join('.')}`,
  (...v4) => `::ffff:0:${v4.join('.')}`,
  (...v4) => `64:ff9b::${v4.join('.')}`,
  (...v4) => `64:ff9b:1::${v4.join('.')}`,
  (...v4) => `64:ff9b:1:7:8:9:${v4.join('.')}`,
  (a, b, c, d) => `64:ff9b:1:0:${hex(0, a)}:${hex(b, c)}:${hex(d, 0)}:0`,
  (a, b, c, d) => `64:ff9b:1:${hex(0, a)}:${hex(0, b)}:${hex(c, d)}::`,
  (a, b, c, d) => `64:ff9b:1:${hex(a, b)}:${hex(0, c)}:${hex(d, 0)}::`,
  (a, b, c, d) => `2002:${hex(a, b)}:${hex(c, d)}::1`,
  (a, b, c, d) => `2001:0:${hex(a, b)}:${hex(c, d)}:8000:ffff:f5ff:fffe`,
  (a, b, c, d) => `2001:0:a01:1:8000:ffff:${hex(~a & 255, ~b & 255)}:${hex(~c & 255, ~d & 255)}`,
  (...v4) => `2001:db8::5efe:${v4.join('.')}`,
  (...v4) => `2001:db8::200:5efe:${v4.join('.')}`,
];

function hex(high: number, low: number): string {
  return ((high << 8) | low).toString(16);
}

test('link-local, metadata, multicast and broadcast addresses and nobody’s, also inside of others', () => {
  for (const [bytes, what] of [
    [[169, 254, 169, 254], /link-local/],
    [[169, 254, 0, 1], /link-local/],
    [[100, 100, 100, 200], /metadata/],
    [[168, 63, 129, 16], /metadata/],
    [[192, 0, 0, 192], /metadata/],
    [[224, 0, 0, 1], /multicast/],
    [[239, 255, 255, 255], /multicast/],
    [[255, 255, 255, 255], /no address that can be connected to/],
  ] as const) {
    for (const loopback of [true, false]) {
      assert.match(refusal(bytes.join('.'), loopback) ?? '', what);
      for (const carried of CARRIERS) {
        const text = carried(bytes[0], bytes[1], bytes[2], bytes[3]);
        assert.match(refusal(text, loopback) ?? '', what, text);
      }
    }
  }
  for (const text of ['0.0.0.0', '0.1.2.3', '::', '::0.0.0.2', '64:ff9b::', '64:ff9b::0.0.0.1', '2002::'])
    assert.match(refusal(text, true) ?? '', /no address that can be connected to/, text);
});

test('addresses of IPv6 that are link-local, metadata or multicast, with zones and in any notation', () => {
  for (const text of [
    'fe80::1',
    'FE80::1',
    'fe80::a9fe:a9fe',
    'febf::1',
    'fe80::1%eth0',
    'fe80:0:0:0:0:0:0:1',
  ])
    assert.match(refusal(text, true) ?? '', /link-local/, text);
  for (const text of ['fd00:ec2::254', 'fd00:0EC2::23', 'fd00:ec2::253', 'fd20:ce::254', 'fd00:42::42'])
    assert.match(refusal(text, true) ?? '', /metadata/, text);
  for (const text of ['ff02::1', 'ff05::2%eth0', 'ff0e::1'])
    assert.match(refusal(text, true) ?? '', /multicast/, text);
});

test('loopback addresses only where they may be, and never inside of others', () => {
  for (const text of [
    '127.0.0.1',
    '127.255.255.254',
    '::1',
    '::ffff:127.0.0.1',
    '0:0:0:0:0:0:0:1',
    '::1%lo',
  ]) {
    assert.equal(refusal(text, true), null, text);
    assert.match(refusal(text, false) ?? '', /is a loopback address/, text);
  }
  for (const carried of CARRIERS.slice(1)) {
    const text = carried(127, 0, 0, 1);
    assert.match(refusal(text, true) ?? '', /is a loopback address/, text);
  }
});

test('whatever is routed may be sent to, also through a translator', () => {
  for (const text of [
    '10.1.0.7',
    '192.168.0.1',
    '100.100.100.201',
    '126.255.255.255',
    '128.0.0.1',
    '169.253.255.255',
    '223.255.255.255',
    '240.0.0.1',
    '2001:db8::7',
    '2001:1::1',
    'fd00::1',
    'fd00:ec1::254',
    'fd20:ce::253',
    'fd20:ce::1:254',
    'fd20:ce:1::254',
    'fd00:42::43',
    'fd00:42:1::42',
    'fd00:42:0:1::42',
    'fec0::1',
    '64:ff9b::10.1.0.7',
    '64:ff9b:1::10.1.0.7',
    '64:ff9b:1:fffe::10.1.0.7',
    '2002:a01:7::1',
    '::ffff:10.1.0.7',
  ])
    assert.equal(refusal(text), null, text);
});

test('property: an IPv4 address is refused inside of another one just when it is by itself', () => {
  const byte = fc.integer({ min: 0, max: 255 });
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 255 }), byte, byte, byte, (a, b, c, d) => {
      const alone = refuseDestination(addressV4(((a << 24) | (b << 16) | (c << 8) | d) >>> 0), false);
      for (const carried of CARRIERS) {
        const inside = refusal(carried(a, b, c, d));
        // Where a prefix may have several lengths, another reading may be the reason.
        if (alone !== null) assert.notEqual(inside, null, carried(a, b, c, d));
      }
      assert.equal(refusal(CARRIERS[3]!(a, b, c, d)), alone);
      assert.equal(refusal(CARRIERS[0]!(a, b, c, d)), alone);
    }),
  );
});

test('names that mean this machine', () => {
  for (const name of [
    'localhost',
    'LocalHost',
    'localhost.',
    'a.localhost',
    'a.localhost.',
    'localhost.localdomain',
    'localhost6',
    'ip6-localhost',
    'ip6-loopback',
  ])
    assert.ok(isLocalName(name), name);
  for (const name of [
    'localhost.evil.test',
    'localhost..',
    'ip6-loopback.evil.test',
    'notlocalhost',
    'localhos',
    'notes.internal',
    '.localhost',
    '',
  ])
    assert.ok(!isLocalName(name), name);
});
