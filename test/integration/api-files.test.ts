/** Files that services of the API name: those of one directory, and nothing is learnt of any other. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { eventually } from '../support/bounded.ts';
import { makeAuthority } from '../support/certificates.ts';
import { ask, request } from '../support/raw-client.ts';
import { startSerin } from '../support/serin.ts';

const authority = makeAuthority();
const closers: (() => unknown)[] = [];
let directory: string;
let ca: string;

before(async () => {
  directory = await mkdtemp(join(tmpdir(), 'serin-api-files-'));
  ca = join(directory, 'ca.pem');
  await writeFile(ca, authority.certificate);
});
after(async () => {
  for (const close of closers.reverse()) await close();
  await rm(directory, { recursive: true });
});

/** An endpoint under TLS whose certificate the authority issued. */
async function secureEndpoint(): Promise<string> {
  const { certificate, key } = authority.issue(['127.0.0.1']);
  const server = createServer({ cert: certificate, key }, (_, response) => response.end('hello'));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  closers.push(() => server.close());
  return `127.0.0.1:${(server.address() as AddressInfo).port}`;
}

test('a service made by the API may name files of one directory alone, and learns nothing of others', async () => {
  const endpoint = await secureEndpoint();
  const shared = join(directory, 'shared');
  await mkdir(join(shared, '..data'), { recursive: true });
  await writeFile(join(shared, '..data', 'ca.pem'), authority.certificate);
  // As Kubernetes mounts them.
  await symlink('..data/ca.pem', join(shared, 'ca.pem'));
  await symlink(ca, join(shared, 'outside.pem'));
  await symlink(join(directory, 'nothing.crt'), join(shared, 'nowhere.pem'));
  await symlink('/dev/zero', join(shared, 'zero.pem'));
  await writeFile(join(shared, 'secret.pem'), 'correct horse battery staple');
  const serin = await startSerin({ services: {}, configuration: { admin: { tlsDirectory: shared } } });
  closers.push(() => serin.stop());
  const put = (tls: object) =>
    serin.admin('PUT', '/v1/services/made', { hosts: ['*'], stable: { endpoints: [endpoint], tls } });
  const refusal = async (tls: object): Promise<string> => {
    const { status, body } = await put(tls);
    assert.equal(status, 422);
    const { code, errors } = body as { code: string; errors: unknown };
    return JSON.stringify([code, errors]);
  };
  const alone = await put({ ca, certificate: ca });
  assert.match(JSON.stringify(alone.body), /service_invalid.*a certificate is of no use alone; add the key/);
  // Outside: the same answer whatever is there.
  const outside = await refusal({ ca: '/dev/zero' });
  assert.match(outside, /service_invalid.*may only name files below/);
  for (const file of ['/proc/self/environ', '/proc/self/fd/1', ca, '/no/such', `${shared}/../ca.pem`, 'x'])
    assert.equal(await refusal({ ca: file }), outside, file);
  // Inside: the same answer for whatever can't be used, and the reason is in the log.
  const inside = await refusal({ ca: join(shared, 'missing.pem') });
  assert.match(inside, /certificate_invalid.*can not be used/);
  for (const file of ['outside.pem', 'nowhere.pem', 'zero.pem', 'secret.pem', '..data'])
    assert.equal(await refusal({ ca: join(shared, file) }), inside, file);
  assert.equal(await refusal({ certificate: join(shared, 'ca.pem'), key: join(shared, 'missing') }), inside);
  await eventually(async () => /outside\.pem: .*leads out of/.test(serin.output()), 'the reason in the log');
  assert.match(serin.output(), /missing\.pem: .*there is no such file/);
  assert.equal((await put({ ca: join(shared, 'ca.pem') })).status, 202);
  const answered = async (): Promise<boolean> =>
    (await ask(serin.proxyPort, request('/', { host: 'notes.test' }))).status === 200;
  await eventually(answered, 'an answer');
});

test('without admin.tlsDirectory a service made by the API names no files', async () => {
  const serin = await startSerin({ services: {} });
  closers.push(() => serin.stop());
  const put = (tls: object) =>
    serin.admin('PUT', '/v1/services/made', { hosts: ['*'], stable: { endpoints: ['10.1.0.7:1'], tls } });
  const { status, body } = await put({ ca });
  assert.equal(status, 422);
  assert.match(JSON.stringify(body), /\/stable\/tls\/ca.*admin\.tlsDirectory is not set/);
  assert.equal((await put({ serverName: 'notes.test' })).status, 202);
});
