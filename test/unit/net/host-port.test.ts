import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import * as fc from 'fast-check';
import { formatHostPort, isLoopback, parseEndpoint, parseListen } from '../../../src/net/host-port.ts';
import { refuseDestination } from '../../../src/ip/destination.ts';
import { parseAddress } from '../../../src/ip/address.ts';

const fault = (parsed: unknown): string => {
  assert.equal(typeof parsed, 'string', JSON.stringify(parsed));
  return String(parsed);
};

describe('an address with a port', () => {
  it('is IPv4, IPv6 in brackets, or a host name', () => {
    assert.deepEqual(parseEndpoint('10.1.0.7:8080'), { host: '10.1.0.7', port: 8080 });
    assert.deepEqual(parseEndpoint('[2001:db8::7]:80'), { host: '2001:db8::7', port: 80 });
    assert.deepEqual(parseEndpoint('Notes.Internal:65535'), { host: 'notes.internal', port: 65535 });
    assert.deepEqual(parseEndpoint('a_b-c.svc:1'), { host: 'a_b-c.svc', port: 1 });
    assert.deepEqual(parseListen('0.0.0.0:0'), { host: '0.0.0.0', port: 0 });
    assert.deepEqual(parseListen('[::]:8080'), { host: '::', port: 8080 });
    assert.deepEqual(parseListen('localhost:9090'), { host: 'localhost', port: 9090 });
  });

  it('says what is wrong with any other', () => {
    for (const [text, part] of [
      ['http://10.1.0.7:8080', 'has a scheme'],
      ['10.1.0.7', 'has no port'],
      ['notes', 'has no port'],
      ['[::1]', 'has no port'],
      [':8080', 'has no host'],
      ['', 'has no host'],
      ['10.1.0.7:', 'has no valid port'],
      ['10.1.0.7:0', 'has no valid port; expected a number from 1 to 65535'],
      ['10.1.0.7:65536', 'has no valid port'],
      ['10.1.0.7:080', 'has no valid port'],
      ['10.1.0.7:8e1', 'has no valid port'],
      ['10.1.0.7:+80', 'has no valid port'],
      ['10.1.0.7: 80', 'has no valid port'],
      ['10.1.0.7:http', 'has no valid port'],
      ['::1:8080', 'write an IPv6 address in brackets'],
      ['2001:db8::7', 'write an IPv6 address in brackets'],
      ['[10.1.0.7]:80', 'does not hold an IPv6 address in its brackets'],
      ['[fe80::1%eth0]:80', 'does not hold an IPv6 address in its brackets'],
      ['[]:80', 'does not hold an IPv6 address in its brackets'],
      ['10.1.0:80', 'neither an IPv4 address nor a host name'],
      ['10.1.0.256:80', 'neither an IPv4 address nor a host name'],
      ['010.1.0.7:80', 'neither an IPv4 address nor a host name'],
      ['2852039166:80', 'neither an IPv4 address nor a host name'],
      ['0xa9fea9fe:80', 'neither an IPv4 address nor a host name'],
      ['169.254.0xa9fe:80', 'neither an IPv4 address nor a host name'],
      ['notes..svc:80', 'neither an IPv4 address nor a host name'],
      ['no tes:80', 'neither an IPv4 address nor a host name'],
      ['user@notes:80', 'neither an IPv4 address nor a host name'],
      [`${'a'.repeat(64)}:80`, 'neither an IPv4 address nor a host name'],
      [`${'a.'.repeat(200)}b:80`, 'neither an IPv4 address nor a host name'],
      ['[::1]x:80', 'is not an address with a port'],
    ] as const) {
      assert.ok(fault(parseEndpoint(text)).includes(part), `${text}: ${fault(parseEndpoint(text))}`);
    }
  });

  it('is never link-local, multicast or nobody where requests are sent', () => {
    for (const host of [
      '169.254.169.254',
      '169.254.0.1',
      '[fe80::1]',
      '[febf::1]',
      '[::ffff:169.254.169.254]',
      '[64:ff9b::a9fe:a9fe]',
    ]) {
      assert.match(fault(parseEndpoint(`${host}:80`)), /is a link-local address, which is refused/, host);
    }
    for (const host of ['224.0.0.1', '239.1.2.3', '[ff02::1]'])
      assert.match(fault(parseEndpoint(`${host}:80`)), /is a multicast address/);
    for (const host of ['0.0.0.0', '0.1.2.3', '[::]'])
      assert.match(fault(parseEndpoint(`${host}:80`)), /is no address that can be connected to/);
    for (const host of [
      '169.253.255.255',
      '169.255.0.0',
      '[fec0::1]',
      '127.0.0.1',
      '[::1]',
      '[fd00::1]',
      '255.255.255.254',
    ]) {
      assert.equal(typeof parseEndpoint(`${host}:80`), 'object', host);
    }
    const resolved = parseAddress('169.254.169.254');
    assert.ok(resolved !== null && refuseDestination(resolved, true) !== null);
  });

  it('has one text for one address, however it is written', () => {
    for (const text of ['[2001:DB8::7]:80', '[2001:db8:0:0:0::7]:80', '[2001:0db8::0.0.0.7]:80'])
      assert.deepEqual(parseEndpoint(text), { host: '2001:db8::7', port: 80 }, text);
    assert.deepEqual(parseEndpoint('[::ffff:10.1.0.7]:80'), { host: '10.1.0.7', port: 80 });
  });

  it('is no number that a resolver could take for an address', () => {
    for (const host of [
      '0x7f.1',
      '2130706433',
      '0177.0.0.1',
      '127.1',
      '127.0.0.0x1',
      '127.0.0.1.',
      'a.0x',
      '1.',
    ])
      assert.match(fault(parseEndpoint(`${host}:80`)), /neither an IPv4 address nor a host name/, host);
  });

  it('property: never throws, and what it takes survives being written again', () => {
    const piece = fc.constantFrom(
      '10',
      '.',
      ':',
      '80',
      '[',
      ']',
      'a',
      '::',
      'fe80',
      '%',
      '/',
      '-',
      '0x',
      ' ',
      '@',
      '255',
    );
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          fc.array(piece, { maxLength: 8 }).map((all) => all.join('')),
        ),
        (text) => {
          for (const parse of [parseListen, parseEndpoint]) {
            const parsed = parse(text);
            if (typeof parsed !== 'string') assert.deepEqual(parse(formatHostPort(parsed)), parsed);
          }
        },
      ),
      { numRuns: 2000 },
    );
  });

  it('knows loopback', () => {
    for (const host of ['127.0.0.1', '127.255.0.1', '::1', 'localhost', 'LOCALHOST', '::ffff:127.0.0.1'])
      assert.ok(isLoopback(host), host);
    for (const host of ['0.0.0.0', '128.0.0.1', '::', '::2', 'localhost.example', 'admin', '::ffff:10.0.0.1'])
      assert.ok(!isLoopback(host), host);
  });
});
