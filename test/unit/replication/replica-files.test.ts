/** Files are each replica's own: one that lacks what a service names goes on with everything else. */
import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { CONFIGURATION } from '../../support/admin-api.ts';
import { eventually } from '../../support/bounded.ts';
import { makeAuthority } from '../../support/certificates.ts';
import { body, type Replica, REQUEST, startReplicas } from '../../support/replicas.ts';

test('a replica that lacks a file of a service keeps the former definition, and follows everything else', async (context) => {
  const folder = await mkdtemp(join(tmpdir(), 'serin-replicas-'));
  context.after(() => rm(folder, { recursive: true }));
  await mkdir(join(folder, 'a'));
  await writeFile(join(folder, 'a', 'ca.pem'), makeAuthority().certificate);
  await symlink(join(folder, 'a'), join(folder, 'tls'));
  const configuration = { ...CONFIGURATION, admin: { tlsDirectory: join(folder, 'tls') } };
  const { start, memory } = startReplicas();
  const a = await start({ name: 'a', configuration });
  const b = await start({ name: 'b', configuration });
  const define = (more: object) =>
    a.plane.putService(
      'made',
      body({ hosts: ['made.test'], stable: { endpoints: ['10.1.0.7:1'], ...more } }),
      REQUEST,
    );
  const at = (one: Replica) =>
    one.workers.snapshots.at(-1)?.services.find(({ name }) => name === 'made')?.stable;
  await define({});
  await eventually(async () => at(b)?.tls === null, 'the service without TLS at b');
  b.store.cut = true;
  await define({ tls: { ca: join(folder, 'tls', 'ca.pem') } });
  assert.equal(memory.commits.at(-1)?.kind, 'service.put');
  assert.match(at(a)?.tls?.credential.ca ?? '', /BEGIN CERTIFICATE/);
  await rm(join(folder, 'a', 'ca.pem'));
  b.store.cut = false;
  await a.plane.writeRollout(
    'notes',
    {
      kind: 'put',
      body: body({ rules: [{ name: 'everyone', percentage: 10 }] }),
      allowDecrease: false,
    },
    REQUEST,
  );
  await eventually(async () => b.percentage() === 10, 'a later write at b');
  assert.equal(at(b)?.tls, null);
  await eventually(
    async () => JSON.stringify(b.plane.fleet()).includes('can not be used'),
    'the fault, as the fleet shows it',
  );
});
