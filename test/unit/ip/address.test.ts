import assert from 'node:assert/strict';
import { isIP, isIPv4 } from 'node:net';
import { test } from 'node:test';
import * as fc from 'fast-check';
import ipaddr from 'ipaddr.js';
import {
  AddressCache,
  parseAddress,
  parseForwardedElement,
  UNKNOWN_ADDRESS,
} from '../../../src/ip/address.ts';
import { believedHops, clientAddress, elementOfHop } from '../../../src/ip/forwarded-for.ts';
import { compileNetworks, NetworkSet } from '../../../src/ip/network.ts';
import { address, characters } from '../policy/fixtures.ts';

const text = (given: string): string | null => parseAddress(given)?.text ?? null;

test('reads IPv4', () => {
  assert.deepEqual(parseAddress('203.0.113.7'), {
    ...UNKNOWN_ADDRESS,
    family: 4,
    v4: 0xcb007107,
    text: '203.0.113.7',
  });
  assert.equal(parseAddress('255.255.255.255')?.v4, 0xffffffff);
  assert.equal(parseAddress('0.0.0.0')?.v4, 0);
});

test('reads IPv6 into four words', () => {
  const { w0, w1, w2, w3, family } = address('2001:db8:1:2:3:4:5:6');
  assert.deepEqual([family, w0, w1, w2, w3], [6, 0x20010db8, 0x00010002, 0x00030004, 0x00050006]);
  assert.equal(address('ffff:ffff::').w0, 0xffffffff);
});

test('IPv4-mapped IPv6 is IPv4', () => {
  for (const given of ['::ffff:1.2.3.4', '::FFFF:102:304', '0:0:0:0:0:ffff:1.2.3.4']) {
    assert.deepEqual(parseAddress(given), parseAddress('1.2.3.4'), given);
  }
  assert.equal(parseAddress('::1.2.3.4')?.family, 6);
  assert.equal(parseAddress('64:ff9b::0.0.0.0')?.text, '64:ff9b::');
});

test('zone ids are dropped, and have to be there after a percent sign', () => {
  assert.equal(text('fe80::1%eth0'), 'fe80::1');
  assert.equal(text('fe80::1%25en-0.1'), 'fe80::1');
  assert.equal(text('fe80::1%'), null);
  assert.equal(text('fe80::1%a b'), null);
  assert.equal(text('1.2.3.4%eth0'), null);
});

test('texts are canonical', () => {
  assert.equal(text('2001:DB8:0:0:1:0:0:1'), '2001:db8::1:0:0:1');
  assert.equal(text('2001:db8:0:1:1:1:1:1'), '2001:db8:0:1:1:1:1:1');
  assert.equal(text('0:0:0:0:0:0:0:0'), '::');
  assert.equal(text('1:0:0:0:0:0:0:0'), '1::');
  assert.equal(text('::0001'), '::1');
});

test('junk is null', () => {
  const junk = [
    '|1|1.2.3|1.2.3.4.5|1.2.3.256|1.2.3.04|01.2.3.4|0x1.2.3.4|1.2.3.4 | 1.2.3.4|1..2.3|.1.2.3|1.2.3.|1.2.3.4a|-1.2.3.4|',
    '1.2.3.4:80|[::1]|:|:::|::1::|1:::2|1:2:3:4:5:6:7|1:2:3:4:5:6:7:8:9|1:2:3:4:5:6:7:8::|::1:2:3:4:5:6:7:8|12345::|g::|',
    ':1::|1:|1:2:3:4:5:6:7:|::ffff:1.2.3|::ffff:1.2.3.4.5|1:2:3:4:5:6:7:1.2.3.4|::1.2.3.4:5|unknown|_hidden|١.٢.٣.٤|',
    '1.2.3.4\0|::1\n|localhost|1:2:3:4:5:6:7x8|1x2::|::1/64',
  ]
    .join('')
    .split('|')
    .concat(' ', '1'.repeat(1000));
  for (const given of junk) assert.equal(parseAddress(given), null, JSON.stringify(given));
});

/** Texts that are addresses, nearly addresses, or junk made of their characters. */
const nearlyAddress = fc.oneof(
  fc.ipV4(),
  fc.ipV6(),
  fc.ipV4Extended(),
  fc
    .tuple(fc.ipV6(), fc.nat(60), fc.constantFrom('', ':', '0', '.', 'f', '%', '::'))
    .map(([given, at, put]) => {
      return given.slice(0, at) + put + given.slice(at + 1);
    }),
  fc.tuple(fc.ipV4(), fc.nat(16), fc.constantFrom('', '.', '0', '9', ' ')).map(([given, at, put]) => {
    return given.slice(0, at) + put + given.slice(at);
  }),
  fc.string({ unit: fc.constantFrom(...characters('0123456789abcdefF:.:.')), maxLength: 45 }),
  fc.string({ maxLength: 60 }),
);

test('agrees with node:net on what is an address', () => {
  fc.assert(
    fc.property(nearlyAddress, (given) => {
      // Zone ids are read by both, within different limits.
      fc.pre(!given.includes('%'));
      const family = parseAddress(given)?.family ?? 0;
      const expected = isIP(given);
      const mapped = expected === 6 && family === 4;
      assert.equal(mapped ? 6 : family, expected, given);
    }),
    { numRuns: 20_000 },
  );
});

test('agrees with ipaddr.js on what address it is', () => {
  fc.assert(
    fc.property(fc.oneof(fc.ipV4(), fc.ipV6()), (given) => {
      // ipaddr.js takes ::1.2.3.4 for a mapped address; RFC 4291 does not.
      fc.pre(!/^[:0]*:\d+\.\d/.test(given));
      const expected = ipaddr.process(given);
      const found = address(given);
      const bytes = expected.toByteArray();
      if (expected.kind() === 'ipv4') {
        assert.equal(found.family, 4);
        assert.equal(found.v4, Buffer.from(bytes).readUInt32BE());
        assert.equal(found.text, expected.toString());
      } else {
        const words = Buffer.from(bytes);
        assert.deepEqual(
          [found.w0, found.w1, found.w2, found.w3],
          [0, 4, 8, 12].map((at) => words.readUInt32BE(at)),
        );
        assert.equal(found.text, (expected as ipaddr.IPv6).toRFC5952String());
      }
    }),
    { numRuns: 10_000 },
  );
});

test('its own text reads as the same address', () => {
  fc.assert(
    fc.property(fc.oneof(fc.ipV4(), fc.ipV6()), (given) => {
      const found = address(given);
      assert.deepEqual(parseAddress(found.text), found);
      if (found.family === 6) assert.equal(`[${found.text}]`, new URL(`http://[${given}]/`).hostname);
    }),
    { numRuns: 5000 },
  );
});

test('reads elements of X-Forwarded-For as proxies write them', () => {
  const read = (given: string): string | null => parseForwardedElement(given)?.text ?? null;
  assert.equal(read(' \t203.0.113.9\t '), '203.0.113.9');
  // A byte A0 is no white space of HTTP, whatever `trim` thinks: this is junk.
  for (const junk of ['203.0.113.9\xa0', '\xa0203.0.113.9', '\x0b203.0.113.9'])
    assert.equal(read(junk), null);
  assert.equal(read('203.0.113.7'), '203.0.113.7');
  assert.equal(read(' 203.0.113.7:4711\t'), '203.0.113.7');
  assert.equal(read('2001:db8::7'), '2001:db8::7');
  assert.equal(read('[2001:db8::7]'), '2001:db8::7');
  assert.equal(read('[2001:db8::7]:4711'), '2001:db8::7');
  assert.equal(read('"[2001:db8::7]:4711"'), '2001:db8::7');
  assert.equal(read('fe80::1%eth0'), 'fe80::1');
  assert.equal(read('[fe80::1%eth0]:80'), 'fe80::1');
  assert.equal(read('::ffff:1.2.3.4'), '1.2.3.4');
  for (const junk of [
    '',
    'unknown',
    '_x',
    '[1.2.3.4]',
    '[::1',
    '[::1]x',
    '[::1]:',
    '1.2.3.4:',
    '1.2.3.4:x',
    '1.2.3.4:123456',
    '""',
    '1.2.3.4"',
    '"1.2.3.4',
  ]) {
    assert.equal(read(junk), null, junk);
  }
});

test('no element makes the reader throw', () => {
  fc.assert(
    fc.property(
      fc.oneof(nearlyAddress, fc.string({ unit: fc.constantFrom(...characters('[]":.%1af ')) })),
      (given) => {
        const found = parseForwardedElement(given);
        assert.ok(found === null || isIP(found.text) > 0);
      },
    ),
    { numRuns: 5000 },
  );
});

const TRUSTED = new NetworkSet(compileNetworks(['10.0.0.0/8', 'fd00::/8']));

function client(peer: string, forwardedFor: string | undefined): string {
  return clientAddress(address(peer), forwardedFor, TRUSTED, new AddressCache()).text;
}

test('the peer is the client where no trusted proxy stands before it', () => {
  assert.equal(client('192.0.2.1', '203.0.113.7'), '192.0.2.1');
  assert.equal(client('10.0.0.1', undefined), '10.0.0.1');
  assert.equal(clientAddress(UNKNOWN_ADDRESS, '203.0.113.7', TRUSTED, new AddressCache()), UNKNOWN_ADDRESS);
});

test('walks from the right, past trusted proxies, to the first address that is not', () => {
  assert.equal(client('10.0.0.1', '203.0.113.7'), '203.0.113.7');
  assert.equal(client('10.0.0.1', '198.51.100.9, 203.0.113.7'), '203.0.113.7');
  assert.equal(client('10.0.0.1', '198.51.100.9, 203.0.113.7, 10.0.0.2,fd00::5'), '203.0.113.7');
  assert.equal(client('fd00::1', '2001:db8::7'), '2001:db8::7');
  assert.equal(client('::ffff:10.0.0.1', '[2001:db8::7]:443'), '2001:db8::7');
});

test('what a client puts on the left is not believed', () => {
  assert.equal(client('10.0.0.1', '203.0.113.1, 10.0.0.9, 198.51.100.9'), '198.51.100.9');
});

test('where all are trusted, the leftmost is the client', () => {
  assert.equal(client('10.0.0.1', '10.0.0.3, 10.0.0.2'), '10.0.0.3');
});

test('junk ends the walk at the last good address', () => {
  assert.equal(client('10.0.0.1', 'unknown'), '10.0.0.1');
  assert.equal(client('10.0.0.1', '203.0.113.7, unknown, 10.0.0.2'), '10.0.0.2');
  assert.equal(client('10.0.0.1', ''), '10.0.0.1');
  assert.equal(client('10.0.0.1', ','), '10.0.0.1');
  assert.equal(client('10.0.0.1', ',203.0.113.7'), '203.0.113.7');
  assert.equal(client('10.0.0.1', `203.0.113.7, ${'x'.repeat(30_000)}`), '10.0.0.1');
});

test('empty elements are no elements', () => {
  for (const chain of [
    '203.0.113.7,, 10.0.0.2',
    '203.0.113.7, ,\t,10.0.0.2',
    ',203.0.113.7,10.0.0.2,',
    ', 203.0.113.7 ,',
  ]) {
    assert.equal(client('10.0.0.1', chain), '203.0.113.7', chain);
  }
});

test('an element of another field is that of the hop that the walk believes last', () => {
  const trusted = new NetworkSet(compileNetworks(['10.0.0.0/8']));
  const chosen = (chain: string | undefined, list: string): string | undefined =>
    elementOfHop(list, believedHops(chain, trusted, new AddressCache()));
  for (const [chain, list, expected] of [
    ['203.0.113.7', 'https', 'https'],
    ['203.0.113.7', 'https, http', 'http'],
    ['203.0.113.7, 10.0.0.2', 'https, http', 'https'],
    ['203.0.113.7,, 10.0.0.2', 'https, ,http,', 'https'],
    // What a client sent itself lies further left than the walk goes.
    ['1.1.1.1, 203.0.113.7, 10.0.0.2', 'x, https, http', 'https'],
    // Junk ends the walk.
    ['203.0.113.7, unknown, 10.0.0.2', 'x, https, http', 'http'],
    // Not every proxy adds one.
    ['203.0.113.7, 10.0.0.3, 10.0.0.2', 'https, http', 'https'],
    [undefined, 'https, http', 'http'],
    ['junk', 'https, http', 'http'],
    ['203.0.113.7', ', ,', undefined],
    ['203.0.113.7', '', undefined],
  ] as const) {
    assert.equal(chosen(chain, list), expected, `${chain} and ${list}`);
  }
});

test('the walk is bounded', () => {
  assert.equal(client('10.0.0.1', `203.0.113.7, ${'10.0.0.2, '.repeat(5000)}10.0.0.3`), '10.0.0.2');
});

test('the walk gives what a plain reading of the list gives', () => {
  const element = fc.oneof(
    fc.ipV4(),
    fc.nat(255).map((last) => `10.0.0.${last}`),
    fc.constantFrom('junk', '', 'unknown'),
  );
  fc.assert(
    fc.property(fc.array(element, { maxLength: 8 }), (elements) => {
      let expected = '10.0.0.1';
      for (const found of elements.toReversed()) {
        if (found === '') continue;
        if (!isIPv4(found)) break;
        expected = found;
        if (!found.startsWith('10.')) break;
      }
      assert.equal(client('10.0.0.1', elements.join(', ')), expected);
    }),
  );
});

test('the cache gives one object for one text, and keeps no junk', () => {
  const cache = new AddressCache(2);
  const first = cache.get('203.0.113.7');
  assert.equal(cache.get('203.0.113.7'), first);
  assert.equal(cache.get('junk'), null);
  assert.equal(cache.get('junk2'), null);
  assert.equal(cache.get('203.0.113.7'), first);
  cache.get('203.0.113.8');
  cache.get('203.0.113.9');
  assert.notEqual(cache.get('203.0.113.7'), first);
});
