/** The certificates of the TLS port: their renewal under load, what can't be used, what expires, and the example. */
import assert from 'node:assert/strict';
import { mkdtemp, readFile, rename, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { ConnectionOptions } from 'node:tls';
import { parse } from 'yaml';
import { eventually } from '../support/bounded.ts';
import { makeAuthority } from '../support/certificates.ts';
import { startOrigin, type Origin } from '../support/origin.ts';
import { connect, request } from '../support/raw-client.ts';
import { shown, startSecureSerin, writeCertificate } from '../support/tls.ts';

const authority = makeAuthority();
const TRUST: ConnectionOptions = { ca: authority.certificate, servername: 'notes.test' };

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

test('renewal: new connections get the new certificate, none is dropped, and what is broken changes nothing', async () => {
  const link = join(directory, 'live');
  const swap = async (name: string): Promise<void> => {
    await symlink(join(directory, name), `${link}.new`);
    await rename(`${link}.new`, link);
  };
  await writeCertificate(join(directory, 'first'), 'tls', authority.issue(['first.test', 'notes.test']));
  await writeCertificate(join(directory, 'second'), 'tls', authority.issue(['second.test', 'notes.test']));
  await writeCertificate(join(directory, 'mixed'), 'tls', {
    certificate: authority.issue(['third.test']).certificate,
    key: authority.issue(['third.test']).key,
  });
  await swap('first');
  const { serin, port } = await startSecureSerin(origin, {
    certificates: [{ certificate: join(link, 'tls.crt'), key: join(link, 'tls.key') }],
  });
  const stale = (): Promise<number> => serin.metric('serin_certificate_stale');
  try {
    const held = await connect(port, { tls: TRUST });
    const stop = new AbortController();
    let served = 0;
    const load = Array.from({ length: 4 }, async () => {
      while (!stop.signal.aborted) {
        const client = await connect(port, { tls: TRUST });
        client.write(request('/load'));
        assert.equal((await client.answer()).status, 200);
        client.destroy();
        served += 1;
      }
    });
    assert.equal(await shown(port, TRUST), 'first.test');
    await swap('second');
    await eventually(async () => (await shown(port, TRUST)) === 'second.test', 'the new certificate');
    await swap('mixed');
    await eventually(async () => (await stale()) === 1, 'the report of the broken one');
    assert.equal(await shown(port, TRUST), 'second.test');
    assert.match(
      serin.output(),
      /a changed certificate can not be used.*not the key of the certificate|not the key of the certificate.*a changed certificate can not be used/,
    );
    await swap('first');
    await eventually(async () => (await stale()) === 0, 'the end of the report');
    await eventually(async () => (await shown(port, TRUST)) === 'first.test', 'the former certificate');
    stop.abort();
    await Promise.all(load);
    assert.ok(served > 10);
    held.write(request('/held'));
    assert.equal((await held.answer()).status, 200);
    held.destroy();
    assert.equal(await serin.metric('serin_certificate_reloads_total', { result: 'success' }), 2);
    assert.equal(await serin.metric('serin_certificate_reloads_total', { result: 'failure' }), 1);
    const expiry = await serin.metric('serin_certificate_expiry_timestamp_seconds');
    assert.ok(Math.abs(expiry - Date.now() / 1000 - 20 * 86_400) < 600);
  } finally {
    await serin.stop();
  }
});

test('a start with a certificate that does not fit its key is refused by name; one that has expired is warned of', async () => {
  const broken = await writeCertificate(directory, 'broken', {
    certificate: authority.issue(['a.test']).certificate,
    key: authority.issue(['a.test']).key,
  });
  await assert.rejects(
    startSecureSerin(origin, { certificates: [broken] }),
    /\/proxy\/tls\/certificates\/0\/key: .*broken\.key: it is not the key/,
  );
  const missing = { ...broken, key: join(directory, 'nothing.key') };
  await assert.rejects(
    startSecureSerin(origin, { certificates: [missing] }),
    /nothing\.key: it cannot be read: there is no such file/,
  );
  const old = await writeCertificate(directory, 'old', authority.issue(['notes.test'], -1));
  const { serin, port } = await startSecureSerin(origin, { certificates: [old] });
  try {
    assert.match(serin.output(), /a certificate has expired/);
    assert.equal(await shown(port, TRUST), 'CERT_HAS_EXPIRED');
    assert.equal(await shown(port, { ...TRUST, rejectUnauthorized: false }), 'notes.test');
  } finally {
    await serin.stop();
  }
});

test('config/tls.yaml serves, with its files and ports replaced', async () => {
  const text = await readFile(join(import.meta.dirname, '../../config/tls.yaml'), 'utf8');
  const { proxy, services } = parse(text) as {
    proxy: { tls: { minVersion: string } };
    services: { notes: { stable: object } };
  };
  const files = await writeCertificate(directory, 'example', authority.issue(['notes.example.com']));
  const { serin, port } = await startSecureSerin(origin, {
    minVersion: proxy.tls.minVersion,
    certificates: [files],
  });
  try {
    assert.ok(services.notes.stable);
    assert.equal(
      await shown(port, { ca: authority.certificate, servername: 'notes.example.com' }),
      'notes.example.com',
    );
  } finally {
    await serin.stop();
  }
});
