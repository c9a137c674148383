/** gRPC over TLS: HTTP/2 is agreed on in the handshake, and the call goes on as one without TLS does. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { credentials } from '@grpc/grpc-js';
import { within } from '../support/bounded.ts';
import { makeAuthority } from '../support/certificates.ts';
import { grpcClient, startGrpcServer, type GrpcServer } from '../support/grpc.ts';
import { freePort } from '../support/ports.ts';
import { startSerin, type Serin } from '../support/serin.ts';
import { writeCertificate } from '../support/tls.ts';

let directory: string;
let server: GrpcServer;
let serin: Serin;

before(async () => {
  directory = await mkdtemp(join(tmpdir(), 'serin-grpc-'));
  server = await startGrpcServer('stable');
});
after(async () => {
  server?.close();
  await serin?.stop();
  await rm(directory, { recursive: true });
});

test('calls over TLS, whose servers hear that they are secure', async () => {
  const authority = makeAuthority();
  const port = await freePort();
  const certificates = [await writeCertificate(directory, 'talk', authority.issue(['talk.test']))];
  serin = await startSerin({
    services: { talk: { hosts: ['talk.test'], stable: { protocol: 'h2c', endpoints: [server.endpoint] } } },
    configuration: { proxy: { tls: { listen: `127.0.0.1:${port}`, certificates } }, log: { level: 'error' } },
  });
  const trust = credentials.createSsl(Buffer.from(authority.certificate));
  const client = grpcClient(port, 'talk.test', { 'grpc.ssl_target_name_override': 'talk.test' }, trust);
  try {
    assert.equal((await client.ask('say', 'hello')).value, 'stable heard hello');
    assert.equal(server.metadata?.getMap()['x-forwarded-proto'], 'https');
    const call = client.chat();
    call.write('one');
    assert.deepEqual(await within(once(call, 'data'), 'an answer'), ['stable heard one']);
    call.end();
    await within(once(call, 'end'), 'the end');
  } finally {
    client.close();
  }
});
