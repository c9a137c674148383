/** The server name in a client's first bytes: whole, in pieces, and whatever else the bytes may be. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type AddressInfo, type Socket } from 'node:net';
import { test } from 'node:test';
import { connect } from 'node:tls';
import * as fc from 'fast-check';
import { namedServer } from '../../../src/proxy/connection/client-hello.ts';

/** What a client of Node.js sends first. */
async function helloOf(servername: string): Promise<Buffer> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const client = connect({ port: (server.address() as AddressInfo).port, host: '127.0.0.1', servername });
  client.on('error', () => {});
  const [accepted] = (await once(server, 'connection')) as [Socket];
  const [bytes] = (await once(accepted, 'data')) as [Buffer];
  client.destroy();
  accepted.destroy();
  server.close();
  return bytes;
}

/** The same bytes in records of `size`. */
function inRecords(hello: Buffer, size: number): Buffer {
  const records: Buffer[] = [];
  for (let at = 5; at < hello.length; at += size) {
    const piece = hello.subarray(at, at + size);
    records.push(Buffer.of(22, 3, 1, piece.length >>> 8, piece.length & 255), piece);
  }
  return Buffer.concat(records);
}

test('a name is found, in lower case and without a dot at its end; none is none', async () => {
  for (const [asked, name] of [
    ['notes.test', 'notes.test'],
    ['Notes.TEST', 'notes.test'],
    ['notes.test.', 'notes.test'],
    ['', ''],
  ] as const)
    assert.deepEqual(namedServer(await helloOf(asked)), { more: false, name });
});

test('it is waited for the whole message, however it is cut', async () => {
  const hello = await helloOf('notes.test');
  const whole = { more: false, name: 'notes.test' };
  for (const size of [1, 3, 4, 5, 100, 5000]) {
    const cut = inRecords(hello, size);
    for (let length = 0; length < cut.length; length++)
      assert.equal(namedServer(cut.subarray(0, length)).more, true, `${length} bytes in records of ${size}`);
    assert.deepEqual(namedServer(cut), whole, `records of ${size}`);
    assert.deepEqual(namedServer(Buffer.concat([cut, Buffer.of(20, 3, 3, 0, 1, 1)])), whole);
  }
});

test('what is no ClientHello is left to OpenSSL at once', () => {
  const untold = { more: false, name: null };
  for (const text of [
    'GET / HTTP/1.1\r\n',
    '\x15\x03\x01\0\x02\x02\x28',
    '\x16\x03\x01\0\0',
    '\x80\x2e\x01\x03\x01',
  ])
    assert.deepEqual(namedServer(Buffer.from(text, 'latin1')), untold);
  assert.deepEqual(namedServer(Buffer.from('160301000402000000', 'hex')), untold, 'another message');
  assert.deepEqual(
    namedServer(Buffer.from('1603010004 01ffffff'.replace(' ', ''), 'hex')),
    untold,
    'too long',
  );
});

test('property: whatever the bytes are, the answer comes, and no more than 16 KiB are waited for', async () => {
  const hello = await helloOf('notes.test');
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.nat(hello.length - 1), fc.nat(255)), { maxLength: 20 }), (changes) => {
      const bytes = Buffer.from(hello);
      for (const [at, value] of changes) bytes[at] = value;
      const said = namedServer(bytes);
      assert.ok(said.more || said.name === null || typeof said.name === 'string');
    }),
    { numRuns: 2000 },
  );
  const tiny = Buffer.alloc(40_000);
  for (let at = 0; at + 6 <= tiny.length; at += 6) tiny.set([22, 3, 1, 0, 1, at === 0 ? 1 : 0], at);
  tiny[3 * 6 + 5] = 255;
  tiny[2 * 6 + 5] = 63;
  assert.equal(namedServer(tiny).more, false);
});
