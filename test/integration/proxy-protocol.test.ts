/** PROXY headers in front of plain and of TLS connections: who owes one, what is learned from it, and HAProxy as the sender. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { eventually, within } from '../support/bounded.ts';
import { makeAuthority } from '../support/certificates.ts';
import { answer, startOrigin, type Origin } from '../support/origin.ts';
import { freePort } from '../support/ports.ts';
import { connect, request, type ClientOptions } from '../support/raw-client.ts';
import type { Serin } from '../support/serin.ts';
import { value } from '../support/strict-head.ts';
import { startSecureSerin, writeCertificate } from '../support/tls.ts';
import { tlv, version1, version2, version2Of, withChecksum } from '../unit/proxy-protocol/headers.ts';

const authority = makeAuthority();
const TLS = { ca: authority.certificate, servername: 'notes.test' };
const FOUR = { source: '203.0.113.7', destination: '198.51.100.9', sourcePort: 40_000, destinationPort: 443 };
const SIX = { ...FOUR, source: '2001:db8:0:0:0:0:0:7', destination: '2001:db8:0:0:0:0:0:9' };
/** A loopback address that owes a header, and one that does not. */
const BALANCER = { localAddress: '127.0.0.2' };
const OTHER = { localAddress: '127.0.0.3' };

let directory: string;
let origin: Origin;
let serin: Serin;
let tlsPort: number;
let serial = 0;

before(async () => {
  directory = await mkdtemp(join(tmpdir(), 'serin-proxy-protocol-'));
  origin = await startOrigin('stable');
  const files = await writeCertificate(directory, 'notes', authority.issue(['notes.test']));
  ({ serin, port: tlsPort } = await startSecureSerin(
    origin,
    { certificates: [files] },
    {
      proxyProtocol: { from: ['127.0.0.2/32'] },
      timeouts: { proxyHeader: '500ms' },
      limits: { handshakes: 8 },
    },
  ));
});
after(async () => {
  await serin.stop();
  await origin.close();
  await rm(directory, { recursive: true });
});

/** The forwarding fields that the origin sees of a request on a connection that begins so: address, port, scheme. */
async function seen(port: number, options: ClientOptions): Promise<string> {
  const path = `/seen/${serial++}`;
  const client = await connect(port, options);
  client.write(request(path));
  const { status } = await client.answer();
  client.destroy();
  const got = origin.at(path)[0];
  if (got === undefined) return `status ${status}`;
  return ['x-forwarded-for', 'x-forwarded-port', 'x-forwarded-proto']
    .map((name) => value(got.message, name))
    .join(' ');
}

const refused = (reason: string): Promise<number> =>
  serin.metric('serin_proxy_headers_refused_total', { reason });

async function isClosed(port: number, preface: Buffer | string, reason: string): Promise<void> {
  const before = await refused(reason);
  const client = await connect(port, BALANCER);
  client.write(preface);
  await within(client.finished, 'the end');
  client.destroy();
  assert.equal(client.raw().length, 0);
  await eventually(async () => (await refused(reason)) === before + 1, `one more ${reason}`);
}

describe('a peer that owes a PROXY header', () => {
  test('says who the client is, at the plain port and before TLS', async () => {
    for (const [preface, told] of [
      [version1(FOUR), '203.0.113.7 443'],
      [version1({ ...SIX, source: '2001:db8::7', destination: '::1' }), '2001:db8::7 443'],
      [version2Of(FOUR), '203.0.113.7 443'],
      [
        version2Of(SIX, tlv(0x02, Buffer.from('notes.test')), tlv(0x20, Buffer.alloc(700))),
        '2001:db8::7 443',
      ],
      [withChecksum(FOUR), '203.0.113.7 443'],
    ] as const) {
      assert.equal(await seen(serin.proxyPort, { ...BALANCER, preface }), `${told} http`);
      assert.equal(await seen(tlsPort, { ...BALANCER, preface, tls: TLS }), `${told} https`);
    }
  });

  test('may speak for itself', async () => {
    for (const preface of [
      'PROXY UNKNOWN\r\n',
      version2(0x20, 0, Buffer.alloc(0)),
      version2(0x20, 0, Buffer.alloc(99)),
      version2(0x21, 0, Buffer.alloc(0)),
    ]) {
      assert.equal(
        await seen(serin.proxyPort, { ...BALANCER, preface }),
        `127.0.0.2 ${serin.proxyPort} http`,
      );
      assert.equal(await seen(tlsPort, { ...BALANCER, preface, tls: TLS }), `127.0.0.2 ${tlsPort} https`);
    }
  });

  test('is understood byte by byte, with the request in the same bytes, and with many of them', async () => {
    const header = withChecksum(FOUR);
    for (const size of [1, 7, header.length, header.length + 3, 4096]) {
      const client = await connect(serin.proxyPort, BALANCER);
      await client.writeSplit(Buffer.concat([header, Buffer.from(request('/a') + request('/b'))]), size);
      assert.equal((await client.answer()).status, 200, `pieces of ${size}`);
      assert.equal((await client.answer()).status, 200);
      client.destroy();
    }
  });

  test('is refused without one, with a bad one, and with one that does not come or ends', async () => {
    for (const port of [serin.proxyPort, tlsPort]) {
      await isClosed(port, request('/'), 'absent');
      await isClosed(port, Buffer.from('160301', 'hex'), 'absent');
      await isClosed(port, 'PROXY TCP4 1.2.3.4 5.6.7.8 1 2 3\r\n', 'bad_line');
      await isClosed(port, version2(0x22, 0x11, Buffer.alloc(12)), 'bad_command');
      await isClosed(port, version2(0x21, 0x11, Buffer.alloc(3)), 'bad_length');
      const bent = withChecksum(FOUR);
      bent[20]! ^= 1;
      await isClosed(port, bent, 'bad_checksum');
      await isClosed(port, 'PROXY TCP4 1.2', 'timeout');
      await isClosed(port, '', 'timeout');
    }
    const before = await refused('closed');
    const leaving = await connect(serin.proxyPort, BALANCER);
    leaving.write('PROXY');
    leaving.end();
    await within(leaving.finished, 'the end');
    await eventually(async () => (await refused('closed')) === before + 1, 'the count');
    assert.match(
      serin.output(),
      /a peer that proxy.proxyProtocol.from names does not begin with a PROXY header/,
    );
    await eventually(
      async () => (await serin.metric('serin_connections_open')) === 0,
      'all connections closed',
    );
  });

  test('gives way when it is one of too many that are slow', async () => {
    const slow = await Promise.all(Array.from({ length: 10 }, () => connect(serin.proxyPort, BALANCER)));
    await eventually(async () => (await refused('displaced')) >= 2, 'the oldest are gone');
    assert.equal(
      await seen(serin.proxyPort, { ...BALANCER, preface: version1(FOUR) }),
      '203.0.113.7 443 http',
    );
    await Promise.all(slow.map((client) => within(client.finished, 'the end')));
    for (const client of slow) client.destroy();
  });
});

test('other peers are not believed: to them a header is a bad request', async () => {
  assert.equal(await seen(serin.proxyPort, OTHER), `127.0.0.3 ${serin.proxyPort} http`);
  assert.equal(await seen(serin.proxyPort, { ...OTHER, preface: version1(FOUR) }), 'status 400');
  const client = await connect(serin.proxyPort, OTHER);
  client.write(version2Of(FOUR));
  client.write(request('/'));
  await within(client.finished, 'the end');
  client.destroy();
  assert.match(client.raw().toString('latin1', 0, 12), /^HTTP\/1\.1 400/);
  await assert.rejects(connect(tlsPort, { ...OTHER, preface: version1(FOUR), tls: TLS }));
});

test('bodies pass both ways behind a header and TLS', async () => {
  const body = Buffer.alloc(1_500_000, 'b');
  origin.route('/bodies', (got) =>
    answer(got, { body, headers: [['X-Got', String(got.message.bodyLength)]] }),
  );
  const client = await connect(tlsPort, { ...BALANCER, preface: version2Of(FOUR), tls: TLS });
  client.write(request('/bodies', { method: 'POST', headers: [`Content-Length: ${body.length}`] }));
  client.write(body);
  const got = await client.answer();
  assert.equal(value(got, 'x-got'), String(body.length));
  assert.equal(got.bodyLength, body.length);
  client.destroy();
});

test('what HAProxy sends is read as HAProxy means it', async () => {
  const listens = {
    v1: await freePort(),
    v2: await freePort(),
    rich: await freePort(),
    secure: await freePort(),
  };
  const server = (line: string, port: number): string =>
    `  server serin 127.0.0.1:${port} source 127.0.0.2 ${line}`;
  const file = join(directory, 'haproxy.cfg');
  await writeFile(
    file,
    `
defaults
  mode tcp
  timeout connect 5s
  timeout client 10s
  timeout server 10s
listen v1
  bind 127.0.0.1:${listens.v1}
${server('send-proxy', serin.proxyPort)}
listen v2
  bind 127.0.0.1:${listens.v2}
${server('send-proxy-v2', serin.proxyPort)}
listen rich
  bind 127.0.0.1:${listens.rich}
${server('send-proxy-v2 proxy-v2-options crc32c,unique-id', serin.proxyPort)}
  unique-id-format %{+X}o\\ %ci:%cp_%Ts
listen secure
  bind 127.0.0.1:${listens.secure}
${server('send-proxy-v2 proxy-v2-options crc32c', tlsPort)}
`,
  );
  const haproxy = spawn('haproxy', ['-db', '-f', file], {
    stdio: ['ignore', 'ignore', 'pipe'],
    env: { PATH: `${process.env['PATH']}:/usr/sbin` },
  });
  let said = '';
  haproxy.stderr.setEncoding('utf8').on('data', (text: string) => (said += text));
  try {
    for (const [name, port] of Object.entries(listens)) {
      const client = await eventually(
        () => connect(port, { localAddress: '127.0.0.9' }).catch(() => null),
        `HAProxy: ${said}`,
      );
      client?.destroy();
      const options = { localAddress: '127.0.0.9', ...(name === 'secure' ? { tls: TLS } : {}) };
      const scheme = name === 'secure' ? 'https' : 'http';
      assert.equal(await seen(port, options), `127.0.0.9 ${port} ${scheme}`, name);
    }
  } finally {
    haproxy.kill('SIGKILL');
    await once(haproxy, 'exit');
  }
});
