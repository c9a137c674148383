import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer as createTlsServer } from 'node:https';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, before, test } from 'node:test';
import { variantSnapshot } from '../../../src/config/variant.ts';
import type { CheckTarget } from '../../../src/health/checker.ts';
import { createHttpProbe } from '../../../src/health/http-probe.ts';
import { makeAuthority } from '../../support/certificates.ts';
import { freePort } from '../../support/ports.ts';

let handle: (request: IncomingMessage, response: ServerResponse) => void = () => {};
const server = createServer((request, response) => handle(request, response));
const { probe, close } = createHttpProbe();
let port = 0;

before(async () => {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  ({ port } = server.address() as AddressInfo);
});

after(async () => {
  server.closeAllConnections();
  server.close();
  await close();
});

async function ask(
  settings: { expectedStatus?: number[]; timeout?: string; path?: string } = {},
  at = { host: '127.0.0.1', port },
  tls: CheckTarget['tls'] = null,
): Promise<string> {
  const healthCheck = variantSnapshot({ healthCheck: { path: '/healthz', ...settings } }).healthCheck!;
  return probe({
    key: 'k',
    service: 'notes',
    variant: 'stable',
    address: at,
    settings: healthCheck,
    tls,
  });
}

const answering = (status: number, body = '', headers: Record<string, string> = {}) => {
  handle = (_, response) => void response.writeHead(status, headers).end(body);
};

test('asks for the path on a connection of its own', async () => {
  const seen: string[] = [];
  const sockets = new Set<unknown>();
  handle = (request, response) => {
    seen.push(`${request.method} ${request.url} ${request.headers.host} ${request.headers['user-agent']}`);
    sockets.add(request.socket);
    response.end('ok');
  };
  assert.equal(await ask({ path: '/healthz?deep=1' }), '');
  assert.equal(await ask({ path: '/healthz?deep=1' }), '');
  assert.deepEqual(seen, Array(2).fill(`GET /healthz?deep=1 127.0.0.1:${port} serin-health-check`));
  assert.equal(sockets.size, 2);
});

test('any 2xx is good, or just the statuses that are named; a redirect is not followed', async () => {
  for (const [status, expectedStatus, says] of [
    [204, undefined, ''],
    [299, undefined, ''],
    [500, undefined, 'status 500'],
    [302, undefined, 'status 302'],
    [404, [404], ''],
    [200, [204], 'status 200'],
    [302, [302], ''],
  ] as const) {
    answering(status, '', { location: `http://127.0.0.1:${port}/elsewhere` });
    assert.equal(
      await ask(expectedStatus === undefined ? {} : { expectedStatus: [...expectedStatus] }),
      says,
    );
  }
});

test('no answer, half an answer and a dripping body are over when the time is', async () => {
  handle = () => {};
  assert.equal(await ask({ timeout: '100ms' }), 'timeout');
  handle = (_, response) => void response.writeHead(200, { 'content-length': '10' }).write('x');
  assert.equal(await ask({ timeout: '100ms' }), 'timeout');
});

test('a large body is not read to its end', async () => {
  handle = (_, response) => {
    response.writeHead(200);
    const more = (): void => {
      while (!response.destroyed && response.write('x'.repeat(65_536)));
      if (!response.destroyed) response.once('drain', more);
    };
    more();
  };
  assert.equal(await ask({ timeout: '5s' }), '');
});

test('a closed port, a reset and rubbish are failures with a short name', async () => {
  assert.equal(await ask({}, { host: '127.0.0.1', port: await freePort() }), 'ECONNREFUSED');
  handle = (request) => void request.socket.destroy();
  assert.equal(await ask(), 'UND_ERR_SOCKET');
  handle = (request) => void request.socket.end('rubbish\r\n\r\n');
  assert.equal(await ask(), 'HTTPParserError');
});

test('a name that leads to a refused destination is not asked', async () => {
  assert.notEqual(await ask({ timeout: '1s' }, { host: '169.254.169.254.invalid', port: 80 }), '');
});

test('endpoints with TLS are asked under TLS, and believed as requests would believe them', async () => {
  const authority = makeAuthority();
  const secure = createTlsServer(
    toServer(authority.issue(['notes.internal'])),
    (_, response) => void response.end('ok'),
  );
  secure.listen(0, '127.0.0.1');
  await once(secure, 'listening');
  const at = { host: '127.0.0.1', port: (secure.address() as AddressInfo).port };
  const asked = (serverName: string, ca: string, verify = true): Promise<string> =>
    ask({}, at, { serverName, verify, credential: { id: ca, certificate: '', key: '', ca } });
  try {
    assert.equal(await asked('notes.internal', authority.certificate), '');
    assert.equal(await asked('shop.internal', authority.certificate), 'ERR_TLS_CERT_ALTNAME_INVALID');
    assert.match(await asked('notes.internal', makeAuthority('A stranger').certificate), /CERT|VERIFY/);
    assert.equal(await asked('shop.internal', '', false), '');
    assert.notEqual(await ask({}, at), '', 'without TLS');
  } finally {
    secure.closeAllConnections();
    secure.close();
  }
});

function toServer({ certificate, key }: { certificate: string; key: string }): { cert: string; key: string } {
  return { cert: certificate, key };
}
