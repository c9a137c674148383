/** TLS between clients and the proxy: certificates by name, versions, sessions, bodies, renewal, and what is refused. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect as connectHttp2 } from 'node:http2';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { connect as connectTls, type ConnectionOptions, type TLSSocket } from 'node:tls';
import { eventually, within } from '../support/bounded.ts';
import { makeAuthority } from '../support/certificates.ts';
import { answer, startOrigin, type Origin } from '../support/origin.ts';
import { connect, request } from '../support/raw-client.ts';
import type { Serin } from '../support/serin.ts';
import { shown, startSecureSerin, writeCertificate, type Secured } from '../support/tls.ts';
import { value } from '../support/strict-head.ts';

const authority = makeAuthority();
const stranger = makeAuthority('A stranger');
const TRUST: ConnectionOptions = { ca: authority.certificate, servername: 'notes.test' };
const MEBIBYTE = 1_048_576;

let directory: string;
let origin: Origin;

before(async () => {
  directory = await mkdtemp(join(tmpdir(), 'serin-tls-'));
  origin = await startOrigin('stable');
});
after(async () => {
  await origin.close();
  await rm(directory, { recursive: true });
});

const startSecure = (tls: object, proxy: object = {}, workers = 1): Promise<Secured> =>
  startSecureSerin(origin, tls, proxy, workers);
/** The certificate's common name that a client gets, or the code of the error. */
const shownTo = (port: number, options: ConnectionOptions): Promise<string> =>
  shown(port, { ca: authority.certificate, ...options });

const failures = (serin: Serin, reason: string): Promise<number> =>
  serin.metric('serin_tls_handshake_failures_total', { reason });

/** The client may see the end a moment before it is counted. */
const counted = (serin: Serin, reason: string, count: number): Promise<unknown> =>
  eventually(async () => (await failures(serin, reason)) === count, `${count} failures for ${reason}`);

describe('TLS from clients', () => {
  let serin: Serin;
  let port: number;

  before(async () => {
    const notes = await writeCertificate(directory, 'notes', authority.issue(['notes.test']));
    const shop = await writeCertificate(directory, 'shop', authority.issue(['*.shop.test', 'eu.shop.test']));
    const eu = await writeCertificate(directory, 'eu', authority.issue(['eu.own.test', 'eu.shop.test']));
    ({ serin, port } = await startSecure(
      { certificates: [notes, shop, eu] },
      { timeouts: { handshake: '1s' }, limits: { handshakes: 4 } },
    ));
  });
  after(() => serin.stop());

  test('requests are served one after another, and are known to be secure', async () => {
    const client = await connect(port, { tls: TRUST });
    for (const path of ['/one', '/two']) {
      client.write(request(path));
      const { status, fields } = await client.answer();
      assert.equal(status, 200);
      assert.ok(
        fields.some(([name, text]) => name === 'Set-Cookie' && /; Secure/.test(text)) || path === '/two',
      );
    }
    const [{ message }] = origin.at('/one') as [(typeof origin.requests)[0]];
    assert.equal(value(message, 'x-forwarded-proto'), 'https');
    assert.equal(value(message, 'x-forwarded-port'), String(port));
    client.end();
    assert.equal(await within(client.finished, 'the end'), 'end');
  });

  test('the plain port goes on as before', async () => {
    const client = await connect(serin.proxyPort);
    client.write(request('/plain'));
    assert.equal((await client.answer()).status, 200);
    assert.equal(value(origin.at('/plain')[0]!.message, 'x-forwarded-proto'), 'http');
    client.destroy();
  });

  test('the certificate goes by the name: exact, then wildcard, then the first', async () => {
    assert.equal(await shownTo(port, { servername: 'notes.test' }), 'notes.test');
    assert.equal(await shownTo(port, { servername: 'a.shop.test' }), '*.shop.test');
    assert.equal(await shownTo(port, { servername: 'EU.shop.test' }), '*.shop.test');
    assert.equal(await shownTo(port, { servername: 'eu.own.test' }), 'eu.own.test');
    for (const servername of ['a.b.shop.test', 'shop.test', 'unknown.test', undefined]) {
      const name = servername === undefined ? {} : { servername };
      assert.equal(await shownTo(port, { ...name, rejectUnauthorized: false }), 'notes.test', servername);
    }
  });

  test('TLS 1.2 and 1.3 are spoken with ciphers that keep their secrets; nothing older', async () => {
    for (const version of ['TLSv1.2', 'TLSv1.3'] as const)
      assert.equal(await shownTo(port, { ...TRUST, minVersion: version, maxVersion: version }), 'notes.test');
    const older = { minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'DEFAULT@SECLEVEL=0' } as const;
    assert.match(await shownTo(port, { ...TRUST, ...older }), /PROTOCOL_VERSION/);
    const weak = { maxVersion: 'TLSv1.2', ciphers: 'ECDHE-ECDSA-AES128-SHA' } as const;
    assert.match(await shownTo(port, { ...TRUST, ...weak }), /HANDSHAKE_FAILURE/);
    await counted(serin, 'version', 1);
    await counted(serin, 'cipher', 1);
  });

  test('HTTP/1.1 or HTTP/2 is agreed on, and who wants another protocol alone is refused', async () => {
    for (const [offered, agreed] of [
      [['spdy/3', 'http/1.1'], 'http/1.1'],
      [['http/1.1', 'h2'], 'h2'],
    ] as const) {
      const socket = connectTls({ host: '127.0.0.1', port, ...TRUST, ALPNProtocols: [...offered] });
      await within(once(socket, 'secureConnect'), 'a TLS handshake');
      assert.equal(socket.alpnProtocol, agreed);
      socket.destroy();
    }
    assert.match(await shownTo(port, { ...TRUST, ALPNProtocols: ['spdy/3'] }), /NO_APPLICATION_PROTOCOL/);
    await counted(serin, 'protocol', 1);
  });

  test('HTTP/2 is spoken where it was agreed on', async () => {
    const session = connectHttp2(`https://127.0.0.1:${port}`, { ...TRUST });
    const stream = session.request({ ':path': '/two-dot-zero', ':authority': 'notes.test' });
    const [head] = (await within(once(stream, 'response'), 'an answer')) as [Record<string, unknown>];
    assert.equal(head[':status'], 200);
    stream.resume();
    await within(once(stream, 'close'), 'the end of the stream');
    assert.equal(value(origin.at('/two-dot-zero')[0]!.message, 'x-forwarded-proto'), 'https');
    session.close();
    await within(once(session, 'close'), 'the end of the session');
  });

  test('plain HTTP to the TLS port is counted, and said once in the log', async () => {
    for (let round = 0; round < 3; round++) {
      const client = await connect(port);
      client.write(request('/'));
      await within(client.finished, 'the end');
      client.destroy();
    }
    await counted(serin, 'plain_http', 3);
    const lines = (): number => serin.output().split('a client speaks plain HTTP to the TLS port').length - 1;
    await eventually(lines, 'the line');
    assert.equal(lines(), 1);
  });

  test('bodies of a mebibyte and more pass both ways at the pace of a slow reader', async () => {
    const body = Buffer.alloc(3 * MEBIBYTE, 'serin');
    origin.route('/echo', {
      end: (got) => answer(got, { body, headers: [['X-Got', String(got.message.bodyLength)]] }),
    });
    const client = await connect(port, { tls: TRUST });
    client.write(request('/echo', { method: 'POST', headers: [`Content-Length: ${2 * MEBIBYTE}`] }));
    for (let sent = 0; sent < 2 * MEBIBYTE; sent += 65_536) {
      client.write(Buffer.alloc(65_536, 'x'));
      if (sent % (8 * 65_536) === 0) await new Promise(setImmediate);
    }
    client.socket.pause();
    // Until the kernel's buffers are full, and the proxy has to wait.
    await eventually(
      () => origin.at('/echo').length === 1 && origin.at('/echo')[0]!.message.complete,
      'the request',
    );
    client.socket.resume();
    const got = await client.answer();
    assert.equal(value(got, 'x-got'), String(2 * MEBIBYTE));
    assert.equal(got.bodyLength, body.length);
    client.destroy();
  });

  test('a truncated answer does not look complete', async () => {
    origin.route('/cut', (got) => {
      got.connection.socket.write('HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf');
      setImmediate(() => got.connection.socket.resetAndDestroy());
    });
    const client = await connect(port, { tls: TRUST });
    client.write(request('/cut'));
    await assert.rejects(client.answer(), /before an answer was complete/);
  });

  test('a broken record ends the connection', async () => {
    const client = await connect(port, { tls: TRUST });
    client.write(request('/before'));
    assert.equal((await client.answer()).status, 200);
    const { _parent: tcp } = client.socket as unknown as {
      _parent: { _handle: object; write(bytes: Buffer): void };
    };
    // Beneath TLS: a record that nobody encrypted.
    tcp.write(Buffer.concat([Buffer.from('1703030020', 'hex'), Buffer.alloc(32)]));
    await within(client.finished, 'the end');
    await eventually(
      async () => (await serin.metric('serin_connections_open')) === 0,
      'the connection is gone',
    );
  });

  test('a tunnel passes each side its end', async () => {
    origin.route('/tunnel', (got) => {
      const { socket } = got.connection;
      got.connection.reader.tunnel((bytes) => socket.write(bytes));
      socket.write('HTTP/1.1 101 Switching\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n');
      socket.on('end', () => socket.end('bye'));
    });
    const client = await connect(port, { tls: TRUST });
    client.write(request('/tunnel', { headers: ['Connection: Upgrade', 'Upgrade: echo'] }));
    assert.equal((await client.answer()).status, 101);
    client.write('hello');
    await eventually(() => client.tunnelled().toString() === 'hello', 'the echo');
    client.end();
    assert.equal(await within(client.over, 'the end'), 'end');
    assert.equal(client.tunnelled().toString(), 'hellobye');
  });

  test('slow handshakes are closed in time, give way when there are many, and keep nobody out', async () => {
    const slow = await Promise.all(Array.from({ length: 6 }, () => connect(port)));
    for (const client of slow) client.write(Buffer.from('160301', 'hex'));
    assert.equal(await shownTo(port, TRUST), 'notes.test');
    await Promise.all(slow.map((client) => within(client.finished, 'the end of a slow handshake')));
    assert.ok((await failures(serin, 'displaced')) >= 2);
    assert.ok((await failures(serin, 'timeout')) >= 1);
    await eventually(
      async () => (await serin.metric('serin_connections_arriving')) === 0,
      'nobody on the way',
    );
  });

  test('a client that leaves in the middle of its handshake is forgotten at once', async () => {
    const before = await failures(serin, 'closed');
    const client = await connect(port);
    client.write(Buffer.from('160301', 'hex'));
    client.end();
    await within(client.over, 'the end');
    await eventually(async () => (await failures(serin, 'closed')) === before + 1, 'the count');
    assert.equal(await serin.metric('serin_connections_open'), 0);
  });
});

describe('TLS that is strict', () => {
  test('a name that no certificate has is refused, and so is none', async () => {
    const files = await writeCertificate(directory, 'strict', authority.issue(['notes.test']));
    const { serin, port } = await startSecure({
      certificates: [files],
      strictServerNames: true,
      minVersion: '1.3',
    });
    try {
      assert.equal(await shownTo(port, TRUST), 'notes.test');
      assert.match(await shownTo(port, { servername: 'other.test' }), /HANDSHAKE_FAILURE/);
      assert.match(await shownTo(port, {}), /HANDSHAKE_FAILURE/);
      assert.match(await shownTo(port, { ...TRUST, maxVersion: 'TLSv1.2' }), /PROTOCOL_VERSION/);
      await counted(serin, 'server_name', 2);
    } finally {
      await serin.stop();
    }
  });

  test('clients must show a certificate of the right authority', async () => {
    const files = await writeCertificate(directory, 'mutual', authority.issue(['notes.test']));
    const clientCa = join(directory, 'clients-ca.crt');
    await writeFile(clientCa, authority.certificate);
    const { serin, port } = await startSecure({ certificates: [files], clientCa });
    const served = async (options: ConnectionOptions): Promise<string> => {
      try {
        const client = await connect(port, { tls: { ...TRUST, ...options } });
        client.write(request('/mutual'));
        const { status } = await client.answer();
        client.destroy();
        return String(status);
      } catch {
        return 'refused';
      }
    };
    try {
      const own = authority.issue(['client']);
      const foreign = stranger.issue(['client']);
      for (const maxVersion of ['TLSv1.2', 'TLSv1.3'] as const) {
        assert.equal(await served({ maxVersion, cert: own.certificate, key: own.key }), '200');
        assert.equal(await served({ maxVersion, cert: foreign.certificate, key: foreign.key }), 'refused');
        assert.equal(await served({ maxVersion }), 'refused');
      }
      assert.equal(origin.at('/mutual').length, 2);
      await counted(serin, 'client_certificate', 4);
    } finally {
      await serin.stop();
    }
  });
});

test('a drain serves whom it has, refuses nobody in a handshake, and ends in order', async () => {
  const files = await writeCertificate(directory, 'drained', authority.issue(['notes.test']));
  const { serin, port } = await startSecure(
    { certificates: [files] },
    { drain: { delay: '0s', grace: '8s', idle: '5s' } },
  );
  try {
    const client = await connect(port, { tls: TRUST });
    const halfway = await connect(port);
    client.write(request('/first'));
    assert.equal((await client.answer()).status, 200);
    process.kill(serin.pid, 'SIGTERM');
    await eventually(() => serin.output().includes('draining'), 'the drain');
    client.write(request('/last'));
    const last = await client.answer();
    assert.equal(last.status, 200);
    assert.equal(await within(client.finished, 'the end'), 'end');
    client.destroy();
    const late = connectTls({ socket: halfway.socket, ...TRUST });
    await within(once(late, 'secureConnect'), 'a handshake while draining');
    late.write(request('/late'));
    const [bytes] = (await within(once(late, 'data'), 'an answer')) as [Buffer];
    assert.match(bytes.toString('latin1'), /^HTTP\/1\.1 200 [^]*Connection: close/);
    late.destroy();
    assert.equal(await within(serin.exit, 'the exit'), 0);
  } finally {
    await serin.stop();
  }
});

test('a session is resumed by whichever worker gets the connection', async () => {
  const files = await writeCertificate(directory, 'shared', authority.issue(['notes.test']));
  const { serin, port } = await startSecure({ certificates: [files] }, {}, 2);
  try {
    for (const maxVersion of ['TLSv1.2', 'TLSv1.3'] as const) {
      let session: Buffer | undefined;
      const reused: boolean[] = [];
      for (let round = 0; round < 12; round++) {
        const options = { ...TRUST, maxVersion, ...(session === undefined ? {} : { session }) };
        const socket = connectTls({ host: '127.0.0.1', port, ...options });
        socket.on('session', (next: Buffer) => (session = next));
        await within(once(socket, 'secureConnect'), 'a TLS handshake');
        reused.push(socket.isSessionReused());
        // Tickets of TLS 1.3 come with the first bytes after the handshake.
        await status(socket);
        socket.destroy();
      }
      assert.deepEqual(reused, [false, ...Array<boolean>(11).fill(true)], maxVersion);
    }
    assert.equal(await serin.metric('serin_tls_handshakes_total', { resumed: 'yes' }), 22);
  } finally {
    await serin.stop();
  }
});

async function status(socket: TLSSocket): Promise<string> {
  socket.write(request('/session'));
  const [bytes] = (await within(once(socket, 'data'), 'an answer')) as [Buffer];
  return bytes.toString('latin1', 9, 12);
}
