/** TLS to endpoints: who is believed, what is shown, how failures are answered, sessions, bodies, and renewal. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { createServer as createTcpServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { createServer, type TLSSocket, type TlsOptions } from 'node:tls';
import { eventually, within } from '../support/bounded.ts';
import { makeAuthority, type Issued } from '../support/certificates.ts';
import { ask, connect, request } from '../support/raw-client.ts';
import { startSerin, type Serin } from '../support/serin.ts';
import { value } from '../support/strict-head.ts';
import { writeCertificate } from '../support/tls.ts';

const authority = makeAuthority();
const stranger = makeAuthority('A stranger');
const MEBIBYTE = 1_048_576;

interface SecureEndpoint {
  readonly endpoint: string;
  /** What each connection asked for and showed, and the requests on it. */
  readonly connections: {
    socket: TLSSocket;
    serverName: unknown;
    peer: string;
    resumed: boolean;
    requests: number;
  }[];
  close(): Promise<void>;
}

type Answer = (head: string, socket: TLSSocket) => void;

const fine: Answer = (_, socket) => void socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok');

/** An endpoint that answers each head that comes whole. */
async function startEndpoint(options: TlsOptions, respond: Answer = fine): Promise<SecureEndpoint> {
  const connections: SecureEndpoint['connections'] = [];
  const server = createServer(
    { ALPNProtocols: ['http/1.1'], allowHalfOpen: true, ...options } as TlsOptions,
    (socket) => {
      const peer = socket.getPeerCertificate();
      const connection = {
        socket,
        serverName: socket.servername,
        peer: String(peer.subject?.['CN'] ?? ''),
        resumed: socket.isSessionReused(),
        requests: 0,
      };
      connections.push(connection);
      let text = '';
      socket.on('data', (bytes: Buffer) => {
        text += bytes.toString('latin1');
        for (let end = text.indexOf('\r\n\r\n'); end >= 0; end = text.indexOf('\r\n\r\n')) {
          connection.requests += 1;
          const head = text.slice(0, end + 4);
          text = text.slice(end + 4);
          respond(head, socket);
        }
      });
      socket.on('end', () => socket.end());
      socket.on('error', () => {});
    },
  );
  return { connections, ...(await listening(server)) };
}

async function listening(server: Server): Promise<{ endpoint: string; close: () => Promise<void> }> {
  const sockets = new Set<Socket>();
  server.on('connection', (socket: Socket) => sockets.add(socket));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    endpoint: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    async close() {
      server.close();
      for (const socket of sockets) socket.destroy();
      if (server.listening) await once(server, 'close');
    },
  };
}

const pair = ({ certificate, key }: Issued): TlsOptions => ({ cert: certificate, key });

let directory: string;
let ca: string;
const closers: (() => Promise<void>)[] = [];

before(async () => {
  directory = await mkdtemp(join(tmpdir(), 'serin-tls-endpoints-'));
  ca = join(directory, 'ca.crt');
  await writeFile(ca, authority.certificate);
});
after(async () => {
  for (const close of closers) await close();
  await rm(directory, { recursive: true });
});

async function endpointOf(options: TlsOptions, respond?: Answer): Promise<SecureEndpoint> {
  const endpoint = await startEndpoint(options, respond);
  closers.push(() => endpoint.close());
  return endpoint;
}

async function serinTo(endpoint: string, tls: object, more: object = {}): Promise<Serin> {
  const serin = await startSerin({
    services: { notes: { hosts: ['*'], stable: { endpoints: [endpoint], tls }, retries: 0, ...more } },
  });
  closers.push(() => serin.stop());
  return serin;
}

/** Status and code of the answer to one request. */
async function asked(serin: Serin, method = 'GET', host = 'notes.test'): Promise<string> {
  const { status, body } = await ask(serin.proxyPort, request('/', { method, host }));
  const code = /"code":"([a-z_]+)"/.exec(body.toString('latin1'))?.[1];
  return code === undefined ? String(status) : `${status} ${code}`;
}

describe('an endpoint is believed', () => {
  test('by its address or a given name, from the authority that is named; and its session is resumed', async () => {
    const byAddress = await endpointOf(pair(authority.issue(['127.0.0.1'])));
    const serin = await serinTo(byAddress.endpoint, { ca });
    assert.equal(await asked(serin), '200');
    assert.equal(await asked(serin), '200');
    assert.deepEqual(
      byAddress.connections.map(({ serverName, requests }) => [serverName, requests]),
      [[false, 2]],
    );
    byAddress.connections[0]!.socket.end();
    await eventually(
      async () => (await serin.metric('serin_upstream_connections')) === 0,
      'the idle connection is gone',
    );
    assert.equal(await asked(serin), '200');
    assert.equal(byAddress.connections[1]?.resumed, true);

    const byName = await endpointOf(pair(authority.issue(['notes.internal'])));
    const named = await serinTo(byName.endpoint, { ca, serverName: 'notes.internal' });
    assert.equal(await asked(named), '200');
    assert.equal(byName.connections[0]?.serverName, 'notes.internal');
  });

  test('only so: another authority, another name, an expired or plain one is 502 tls_failed, and no byte of HTTP is sent', async () => {
    const right = authority.issue(['127.0.0.1']);
    let heads = 0;
    const count: Answer = (head, socket) => {
      heads += 1;
      fine(head, socket);
    };
    const cases = [
      [pair(stranger.issue(['127.0.0.1'])), { ca }, 'UNABLE_TO_VERIFY_LEAF_SIGNATURE'],
      [pair(right), {}, 'UNABLE_TO_VERIFY_LEAF_SIGNATURE'],
      [pair(right), { ca, serverName: 'notes.internal' }, 'ERR_TLS_CERT_ALTNAME_INVALID'],
      [pair(authority.issue(['127.0.0.1'], -1)), { ca }, 'CERT_HAS_EXPIRED'],
      [{ ...pair(right), ALPNProtocols: ['h2'] }, { ca }, 'ERR_SSL_TLSV1_ALERT_NO_APPLICATION_PROTOCOL'],
      [
        { ...pair(right), maxVersion: 'TLSv1.1', minVersion: 'TLSv1', ciphers: 'DEFAULT@SECLEVEL=0' },
        { ca },
        'ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION',
      ],
    ] as const;
    const services: Record<string, unknown> = {};
    for (const [index, [options, tls]] of cases.entries()) {
      const { endpoint } = await endpointOf(options, count);
      services[`case-${index}`] = {
        hosts: [`case-${index}.test`],
        retries: 0,
        stable: { endpoints: [endpoint], tls },
      };
    }
    const serinOfCases = await startSerin({ services });
    closers.push(() => serinOfCases.stop());
    for (const [index, [, , reason]] of cases.entries()) {
      assert.equal(await asked(serinOfCases, 'GET', `case-${index}.test`), '502 tls_failed', reason);
      await eventually(() => serinOfCases.output().includes(reason), reason);
    }
    const counted = await serinOfCases.metric('serin_upstream_results_total', { outcome: 'tls_failed' });
    assert.equal(counted, cases.length);
    const received: string[] = [];
    const plain = await listening(
      createTcpServer((socket) => {
        socket.on('data', (bytes) => {
          received.push(bytes.toString('latin1'));
          socket.end('HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n');
        });
        socket.on('error', () => {});
      }),
    );
    closers.push(plain.close);
    const serin = await serinTo(plain.endpoint, { ca });
    assert.equal(await asked(serin, 'POST'), '502 tls_failed');
    assert.ok(received.length > 0 && received.every((text) => !text.includes('HTTP/1.1')));
    assert.equal(heads, 0);
  });

  test('whoever it is, where the operator says so, with a warning', async () => {
    const { endpoint } = await endpointOf(pair(stranger.issue(['elsewhere'])));
    const serin = await serinTo(endpoint, { insecureSkipVerify: true });
    assert.equal(await asked(serin), '200');
    await eventually(
      () => serin.output().includes('insecureSkipVerify believes whoever answers'),
      'a warning',
    );
  });

  test('in time: the handshake is part of connecting', async () => {
    const silent = await listening(createTcpServer((socket) => void socket.on('error', () => {})));
    closers.push(silent.close);
    const serin = await serinTo(silent.endpoint, { ca }, { timeouts: { connect: '300ms' } });
    assert.equal(await asked(serin), '504 connect_timeout');
  });
});

test('a certificate is shown to endpoints that ask for one', async () => {
  const own = await writeCertificate(directory, 'serin', authority.issue(['serin']));
  const foreign = await writeCertificate(directory, 'foreign', stranger.issue(['serin']));
  const endpoints = new Map<string, SecureEndpoint>();
  const services: Record<string, unknown> = {};
  for (const maxVersion of ['TLSv1.2', 'TLSv1.3'] as const) {
    const secure = await endpointOf({
      ...pair(authority.issue(['127.0.0.1'])),
      maxVersion,
      ca: authority.certificate,
      requestCert: true,
      rejectUnauthorized: true,
    });
    endpoints.set(maxVersion, secure);
    for (const [name, shown] of Object.entries({ own, foreign, without: {} })) {
      services[`${name}-${maxVersion.slice(-1)}`] = {
        hosts: [`${name}.${maxVersion.slice(-1)}.test`],
        retries: 0,
        stable: { endpoints: [secure.endpoint], tls: { ca, ...shown } },
      };
    }
  }
  const serin = await startSerin({ services });
  closers.push(() => serin.stop());
  for (const [maxVersion, { connections }] of endpoints) {
    const version = maxVersion.slice(-1);
    assert.equal(await asked(serin, 'GET', `own.${version}.test`), '200', maxVersion);
    assert.equal(connections[0]?.peer, 'serin');
    // With TLS 1.3 a refusal comes when the request is on its way.
    assert.equal(await asked(serin, 'POST', `without.${version}.test`), '502 tls_failed', maxVersion);
    // This endpoint hangs up without an alert.
    assert.match(
      await asked(serin, 'POST', `foreign.${version}.test`),
      /^502 (tls_failed|upstream_reset)$/,
      maxVersion,
    );
  }
});

test('a byte on an idle connection destroys it; a session ticket or a key update does not', async () => {
  const { endpoint, connections } = await endpointOf({
    ...pair(authority.issue(['127.0.0.1'])),
    minVersion: 'TLSv1.3',
  });
  const serin = await serinTo(endpoint, { ca });
  for (let round = 0; round < 3; round++) assert.equal(await asked(serin), '200');
  assert.equal(connections.length, 1);
  connections[0]!.socket.write('x');
  await within(once(connections[0]!.socket, 'close'), 'the end of the connection');
  assert.equal(await asked(serin), '200');
  assert.equal(connections.length, 2);
});

test('bodies of a mebibyte and more pass both ways at the pace of the slower side', async () => {
  const body = Buffer.alloc(3 * MEBIBYTE, 'serin');
  const endpoint = createServer({ ...pair(authority.issue(['127.0.0.1'])) }, (socket) => {
    let got = 0;
    let paused = false;
    socket.on('data', (bytes: Buffer) => {
      got += bytes.length;
      if (!paused && got > 100_000) {
        paused = true;
        socket.pause();
        setImmediate(() => socket.resume());
      }
      if (got < 2 * MEBIBYTE) return;
      socket.write(`HTTP/1.1 200 OK\r\nX-Got: ${got}\r\nContent-Length: ${body.length}\r\n\r\n`);
      socket.write(body);
    });
    socket.on('error', () => {});
  });
  const started = await listening(endpoint);
  closers.push(started.close);
  const serin = await serinTo(started.endpoint, { ca });
  const client = await connect(serin.proxyPort);
  client.write(request('/', { method: 'POST', headers: [`Content-Length: ${2 * MEBIBYTE}`] }));
  client.write(Buffer.alloc(2 * MEBIBYTE, 'x'));
  client.socket.pause();
  await new Promise(setImmediate);
  client.socket.resume();
  const got = await client.answer();
  assert.ok(Number(value(got, 'x-got')) > 2 * MEBIBYTE);
  assert.equal(got.bodyLength, body.length);
  client.destroy();
});

test('a tunnel to a TLS endpoint passes each side its end', async () => {
  const { endpoint } = await endpointOf(pair(authority.issue(['127.0.0.1'])), (_, socket) => {
    socket.removeAllListeners('data');
    socket.removeAllListeners('end');
    socket.on('data', (bytes: Buffer) => socket.write(bytes));
    socket.on('end', () => socket.end('bye'));
    socket.write('HTTP/1.1 101 Switching\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n');
  });
  const serin = await serinTo(endpoint, { ca });
  const client = await connect(serin.proxyPort);
  client.write(request('/', { headers: ['Connection: Upgrade', 'Upgrade: echo'] }));
  assert.equal((await client.answer()).status, 101);
  client.write('hello');
  await eventually(() => client.tunnelled().toString() === 'hello', 'the echo');
  client.end();
  assert.equal(await within(client.over, 'the end'), 'end');
  assert.equal(client.tunnelled().toString(), 'hellobye');
});

test('a new authority is believed when its file changes, and health checks go by it too', async () => {
  const live = join(directory, 'live-ca.crt');
  await writeFile(live, stranger.certificate);
  const { endpoint } = await endpointOf(pair(authority.issue(['127.0.0.1'])));
  const serin = await startSerin({
    services: {
      notes: {
        hosts: ['*'],
        stable: {
          endpoints: [endpoint],
          tls: { ca: live },
          healthCheck: {
            path: '/',
            interval: '200ms',
            timeout: '200ms',
            healthyThreshold: 1,
            unhealthyThreshold: 1,
          },
        },
      },
    },
  });
  closers.push(() => serin.stop());
  const checks = (result: string): Promise<number> => serin.metric('serin_health_checks_total', { result });
  assert.match(await asked(serin), /^50[23] /);
  await eventually(async () => (await checks('bad')) > 0, 'a bad check');
  assert.equal(await checks('good'), 0);
  await writeFile(`${live}.new`, authority.certificate);
  await rename(`${live}.new`, live);
  await eventually(async () => (await asked(serin)) === '200', 'an answer under the new authority');
  await eventually(async () => (await checks('good')) > 0, 'a good check');
});
