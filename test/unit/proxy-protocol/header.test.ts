import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import * as fc from 'fast-check';
import { crc32c } from '../../../src/proxy-protocol/crc32c.ts';
import { ProxyHeaderReader } from '../../../src/proxy-protocol/header-reader.ts';
import { readProxyHeader } from '../../../src/proxy-protocol/header.ts';
import { parseAddress } from '../../../src/ip/address.ts';
import {
  readLine,
  SIGNATURE,
  slowCrc32c,
  tlv,
  version1,
  version2,
  version2Of,
  withChecksum,
  type Ends,
} from './headers.ts';

const FOUR: Ends = {
  source: '192.0.2.1',
  destination: '198.51.100.9',
  sourcePort: 40_000,
  destinationPort: 443,
};
const SIX: Ends = { ...FOUR, source: '2001:db8::1', destination: '2001:db8:1:2:3:4:5:6' };
const REQUEST = Buffer.from('GET / HTTP/1.1\r\n');

/** What the reader says, in short: `more`, a fault, or the ends and what was left. */
function says(bytes: Buffer): string {
  const outcome = readProxyHeader(bytes);
  if (outcome.kind === 'incomplete') return 'more';
  if (outcome.kind === 'fault') return outcome.fault;
  const { proxied, length } = outcome;
  const rest = bytes.toString('latin1', length);
  if (proxied === null) return `own|${rest}`;
  const { source, sourcePort, destination, destinationPort } = proxied;
  return `${source.text} ${sourcePort} ${destination.text} ${destinationPort}|${rest}`;
}

const told = ({ source, sourcePort, destination, destinationPort }: Ends, rest = ''): string =>
  `${source} ${sourcePort} ${destination} ${destinationPort}|${rest}`;

const line = (text: string): string => says(Buffer.from(text, 'latin1'));

describe('version 1', () => {
  test('tells the ends of connections over IPv4 and IPv6, and leaves the rest alone', () => {
    for (const ends of [FOUR, SIX, { ...FOUR, sourcePort: 0, destinationPort: 65_535 }])
      assert.equal(says(Buffer.concat([version1(ends), REQUEST])), told(ends, REQUEST.toString()));
  });

  test('IPv4 mapped into IPv6 is IPv4', () => {
    assert.equal(line('PROXY TCP6 ::ffff:192.0.2.1 ::FFFF:c633:6409 1 2\r\n'), '192.0.2.1 1 198.51.100.9 2|');
  });

  test('UNKNOWN is the connection itself, whatever follows', () => {
    for (const text of [
      'PROXY UNKNOWN\r\n',
      'PROXY UNKNOWN ffff::1 x 99999\r\n',
      `PROXY UNKNOWN ${'x'.repeat(91)}\r\n`,
    ])
      assert.equal(line(text), 'own|');
  });

  test('is refused where it is not exactly as the protocol has it', () => {
    for (const text of [
      'PROXY TCP4 192.0.2.1 198.51.100.9 1 2\n',
      'PROXY TCP4 192.0.2.1 198.51.100.9 1 2\rx',
      'PROXY TCP4 192.0.2.1 198.51.100.9 1 2 \r\n',
      'PROXY TCP4  192.0.2.1 198.51.100.9 1 2\r\n',
      'PROXY  TCP4 192.0.2.1 198.51.100.9 1 2\r\n',
      'PROXY tcp4 192.0.2.1 198.51.100.9 1 2\r\n',
      'PROXY UDP4 192.0.2.1 198.51.100.9 1 2\r\n',
      'PROXY UNKNOWNS\r\n',
      'PROXY TCP4 2001:db8::1 198.51.100.9 1 2\r\n',
      'PROXY TCP6 2001:db8::1 198.51.100.9 1 2\r\n',
      'PROXY TCP6 fe80::1%eth0 ::1 1 2\r\n',
      'PROXY TCP4 192.0.2.01 198.51.100.9 1 2\r\n',
      'PROXY TCP4 192.0.2.256 198.51.100.9 1 2\r\n',
      'PROXY TCP4 192.0.2.1 198.51.100.9 01 2\r\n',
      'PROXY TCP4 192.0.2.1 198.51.100.9 1 65536\r\n',
      'PROXY TCP4 192.0.2.1 198.51.100.9 +1 2\r\n',
      'PROXY TCP4 192.0.2.1 198.51.100.9 1\r\n',
      'PROXY TCP4\r\n',
      'PROXY \r\n',
      'PROXY TCP4 192.0.2.1\t198.51.100.9 1 2\r\n',
      'PROXY UNKNOWN \x00\r\n',
      'PROXY UNKNOWN \xff\r\n',
      `PROXY UNKNOWN ${'x'.repeat(92)}\r\n`,
    ])
      assert.equal(line(text), 'bad_line', JSON.stringify(text));
  });

  test('107 bytes without an end are enough', () => {
    assert.equal(line(`PROXY UNKNOWN ${'x'.repeat(92)}`), 'more');
    assert.equal(line(`PROXY UNKNOWN ${'x'.repeat(93)}`), 'bad_line');
    assert.equal(line(`PROXY UNKNOWN ${'x'.repeat(91)}\r`), 'more');
  });
});

describe('version 2', () => {
  test('tells the ends of connections over IPv4 and IPv6, and leaves the rest alone', () => {
    for (const ends of [FOUR, SIX])
      assert.equal(says(Buffer.concat([version2Of(ends), REQUEST])), told(ends, REQUEST.toString()));
  });

  test('skips TLVs that fill the rest exactly', () => {
    const own = tlv(0xea, Buffer.alloc(300));
    assert.equal(
      says(version2Of(FOUR, tlv(0x02, Buffer.from('notes.test')), tlv(0x04, Buffer.alloc(0)), own)),
      told(FOUR),
    );
    for (const rest of [Buffer.of(1), Buffer.of(1, 0), Buffer.of(1, 0, 1), Buffer.of(1, 0xff, 0xff, 0)])
      assert.equal(says(version2Of(FOUR, rest)), 'bad_length', rest.toString('hex'));
  });

  test('LOCAL, UNSPEC and UNIX are the connection itself', () => {
    assert.equal(says(version2(0x20, 0x00, Buffer.alloc(0))), 'own|');
    assert.equal(says(version2(0x20, 0xff, Buffer.alloc(77, 0xff))), 'own|');
    assert.equal(says(version2(0x21, 0x00, Buffer.alloc(0))), 'own|');
    assert.equal(says(version2(0x21, 0x00, Buffer.alloc(40, 0xff))), 'own|');
    assert.equal(says(version2(0x21, 0x31, Buffer.alloc(216))), 'own|');
  });

  test('other commands, versions and families are refused before the rest has come', () => {
    for (const [command, family] of [
      [0x22, 0x11],
      [0x2f, 0x11],
      [0x11, 0x11],
      [0x31, 0x11],
      [0x21, 0x12],
      [0x21, 0x22],
      [0x21, 0x10],
      [0x21, 0x32],
      [0x21, 0x41],
      [0x21, 0x01],
    ] as const)
      assert.equal(
        says(Buffer.concat([SIGNATURE, Buffer.of(command, family)])),
        'bad_command',
        `${command} ${family}`,
      );
  });

  test('lengths that do not hold the addresses, or exceed the limit, are refused', () => {
    assert.equal(says(version2(0x21, 0x11, Buffer.alloc(11))), 'bad_length');
    assert.equal(says(version2(0x21, 0x21, Buffer.alloc(35))), 'bad_length');
    assert.equal(says(version2(0x21, 0x31, Buffer.alloc(215))), 'bad_length');
    const fixed = (length: number): Buffer =>
      Buffer.concat([SIGNATURE, Buffer.of(0x20, 0, length >> 8, length & 255)]);
    assert.equal(says(fixed(8192 - 16)), 'more');
    assert.equal(says(fixed(8192 - 15)), 'bad_length');
  });

  test('a checksum must match; there is one at most', () => {
    for (const ends of [FOUR, SIX]) {
      const header = withChecksum(ends);
      assert.equal(says(header), told(ends));
      for (const at of [12 + 4, 20, header.length - 1]) {
        const bent = Buffer.from(header);
        bent[at]! ^= 1;
        assert.equal(says(bent), 'bad_checksum', String(at));
      }
    }
    assert.equal(says(version2Of(FOUR, tlv(0x03, Buffer.alloc(3)))), 'bad_length');
    const [one, two] = [tlv(0x03, Buffer.alloc(4)), tlv(0x03, Buffer.alloc(4))];
    assert.equal(says(version2Of(FOUR, one, two)), 'bad_length');
  });
});

test('what is no header is known by its first wrong byte', () => {
  for (const bytes of [
    REQUEST,
    Buffer.from('PRI * HTTP/2.0'),
    Buffer.from('160301', 'hex'),
    Buffer.from('PROXY\t'),
  ])
    assert.equal(says(bytes), 'absent');
  assert.equal(says(Buffer.from('\r\n\r\nGET')), 'absent');
  assert.equal(says(Buffer.alloc(0)), 'more');
});

const ports = {
  sourcePort: fc.integer({ min: 0, max: 65_535 }),
  destinationPort: fc.integer({ min: 0, max: 65_535 }),
};
const ends = fc.oneof(
  fc.record({ source: fc.ipV4(), destination: fc.ipV4(), ...ports }),
  fc.record({ source: fc.ipV6(), destination: fc.ipV6(), ...ports }),
);
const plainEnds = fc.oneof(
  fc.record({ source: fc.ipV4(), destination: fc.ipV4(), ...ports }),
  fc.record({ source: hexGroups(), destination: hexGroups(), ...ports }),
);

function hexGroups(): fc.Arbitrary<string> {
  return fc
    .array(fc.integer({ min: 0, max: 65_535 }), { minLength: 8, maxLength: 8 })
    .map((groups) => groups.map((group) => group.toString(16)).join(':'));
}

const canonical = (text: string): string => parseAddress(text)?.text ?? 'junk';

test('what is written is what is read, in any pieces', () => {
  const header = fc.oneof(
    ends.map((one) => [one, version1(one)] as const),
    plainEnds.map((one) => [one, version2Of(one, tlv(0xe0, Buffer.alloc(9)))] as const),
    plainEnds.map((one) => [one, withChecksum(one)] as const),
  );
  fc.assert(
    fc.property(
      header,
      fc.array(fc.integer({ min: 1, max: 40 })),
      fc.uint8Array(),
      ([told, bytes], cuts, rest) => {
        const all = Buffer.concat([bytes, rest]);
        const reader = new ProxyHeaderReader();
        let at = 0;
        for (const cut of [...cuts, all.length]) {
          const piece = Buffer.from(all.subarray(at, at + cut));
          at += piece.length;
          const outcome = reader.push(piece);
          piece.fill(0xee);
          if (outcome.kind === 'incomplete') {
            assert.ok(at < bytes.length);
            continue;
          }
          assert.ok(outcome.kind === 'header');
          assert.equal(outcome.proxied?.source.text, canonical(told.source));
          assert.equal(outcome.proxied?.destination.text, canonical(told.destination));
          assert.equal(outcome.proxied?.sourcePort, told.sourcePort);
          assert.equal(outcome.proxied?.destinationPort, told.destinationPort);
          assert.deepEqual(outcome.rest, Buffer.from(all.subarray(bytes.length, at)));
          return;
        }
        assert.fail('the header was never complete');
      },
    ),
  );
});

test('a longest header followed by more than it in one piece loses no byte', () => {
  const header = version2(0x20, 0, Buffer.alloc(8192 - 16));
  const rest = Buffer.alloc(20_000, 'r');
  const reader = new ProxyHeaderReader();
  const outcome = reader.push(Buffer.concat([header, rest]));
  assert.ok(outcome.kind === 'header');
  assert.deepEqual(outcome.rest, rest);
});

/** Lines that are nearly right. */
const nearly = fc
  .tuple(
    ends.map((one) => version1(one).toString()),
    fc.array(
      fc.tuple(
        fc.nat(120),
        fc.constantFrom('', ' ', '0', '1', ':', '.', '%', '\r', '\n', '\r\n', 'UNKNOWN ', '\t', '+', '::'),
      ),
      { maxLength: 2 },
    ),
  )
  .map(([text, changes]) =>
    changes.reduce((now, [at, put]) => now.slice(0, at) + put + now.slice(at + 1), text),
  );

test('version 1 is read as another reading reads it', () => {
  fc.assert(
    fc.property(nearly, (text) => {
      const whole = /^[^\r]*\r\n/.exec(text)?.[0];
      const outcome = readProxyHeader(Buffer.from(text, 'latin1'));
      const expected = whole === undefined ? null : readLine(whole);
      if (expected === null) {
        assert.notEqual(outcome.kind, 'header', JSON.stringify(text));
        return;
      }
      assert.ok(outcome.kind === 'header', JSON.stringify(text));
      assert.equal(outcome.length, whole!.length);
      if (expected === 'unknown') assert.equal(outcome.proxied, null);
      else {
        assert.equal(outcome.proxied?.source.text, canonical(expected.source));
        assert.equal(outcome.proxied?.destinationPort, expected.destinationPort);
      }
    }),
    { numRuns: 2000 },
  );
});

test('any bytes lead to an outcome, and more bytes change nothing of one that is final', () => {
  const bent = fc
    .tuple(
      fc.oneof(plainEnds.map(withChecksum), ends.map(version1)),
      fc.array(fc.tuple(fc.nat(80), fc.nat(255)), { maxLength: 3 }),
    )
    .map(([bytes, changes]) => {
      const copy = Buffer.from(bytes);
      for (const [at, byte] of changes) copy[at % copy.length] = byte;
      return copy;
    });
  fc.assert(
    fc.property(
      fc.oneof(
        bent,
        fc.uint8Array().map((bytes) => Buffer.concat([SIGNATURE, bytes])),
      ),
      fc.uint8Array(),
      (bytes, more) => {
        let final: string | null = null;
        const all = Buffer.concat([bytes, more]);
        for (let length = 0; length <= all.length; length++) {
          const outcome = readProxyHeader(all.subarray(0, length));
          const now = outcome.kind === 'incomplete' ? null : JSON.stringify(outcome);
          if (final !== null) assert.equal(now, final);
          if (outcome.kind === 'header')
            assert.equal(outcome.length, length > outcome.length ? outcome.length : length);
          final = now;
        }
      },
    ),
    { numRuns: 500 },
  );
});

test('CRC32C is that of RFC 3720, and of its definition bit by bit', () => {
  assert.equal(crc32c(Buffer.alloc(32)), 0x8a9136aa);
  assert.equal(crc32c(Buffer.from('123456789')), 0xe3069283);
  fc.assert(fc.property(fc.uint8Array(), (bytes) => crc32c(bytes) === slowCrc32c(bytes)));
});
