/** Sessions of TLS belong to the server name that they were made for, whichever version and whichever certificate it is. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { connect, type ConnectionOptions } from 'node:tls';
import { within } from '../support/bounded.ts';
import { makeAuthority } from '../support/certificates.ts';
import { startOrigin, type Origin } from '../support/origin.ts';
import { request } from '../support/raw-client.ts';
import { startSecureSerin, writeCertificate, type Secured } from '../support/tls.ts';

const authority = makeAuthority();
let directory: string;
let origin: Origin;
let secured: Secured;

before(async () => {
  directory = await mkdtemp(join(tmpdir(), 'serin-sessions-'));
  origin = await startOrigin('stable');
  const certificates = [
    await writeCertificate(directory, 'a', authority.issue(['aa.test', 'ab.test'])),
    await writeCertificate(directory, 'b', authority.issue(['bb.test', '*.w.test'])),
  ];
  secured = await startSecureSerin(origin, { certificates });
});
after(async () => {
  await secured?.serin.stop();
  await origin?.close();
  await rm(directory, { recursive: true });
});

interface Shaken {
  readonly resumed: boolean;
  /** '': it was resumed, so none was shown. */
  readonly certificate: string;
  readonly session: Buffer;
}

async function shake(
  servername: string,
  version: ConnectionOptions['maxVersion'],
  session?: Buffer,
): Promise<Shaken> {
  const socket = connect({
    host: '127.0.0.1',
    port: secured.port,
    servername,
    maxVersion: version,
    rejectUnauthorized: false,
    ...(session === undefined ? {} : { session }),
  });
  let newest = session ?? Buffer.alloc(0);
  socket.on('session', (next: Buffer) => (newest = next));
  await within(once(socket, 'secureConnect'), 'a TLS handshake');
  const resumed = socket.isSessionReused();
  const certificate = resumed ? '' : String(socket.getPeerCertificate().subject.CN);
  // Tickets of TLS 1.3 come with the first bytes after the handshake.
  socket.write(request('/'));
  await within(once(socket, 'data'), 'an answer');
  socket.destroy();
  return { resumed, certificate, session: newest };
}

/** The session, but the client takes it for one of another name: OpenSSL's clients offer a session to no other name by themselves. */
function renamed(session: Buffer, from: string, to: string): Buffer {
  assert.equal(from.length, to.length);
  const changed = Buffer.from(session);
  const at = changed.indexOf(from);
  assert.ok(at >= 0, 'the session names its server');
  changed.write(to, at, 'latin1');
  return changed;
}

for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
  test(`${version}: resumed for its own name alone`, async () => {
    for (const [name, others] of [
      ['aa.test', ['ab.test', 'bb.test', 'cc.test']],
      ['1.w.test', ['2.w.test']],
    ] as const) {
      const { session } = await shake(name, version);
      assert.equal((await shake(name, version, session)).resumed, true, name);
      for (const other of others) {
        const { resumed, certificate } = await shake(other, version, renamed(session, name, other));
        assert.equal(resumed, false, `a session of ${name} for ${other}`);
        const wanted = {
          'ab.test': 'aa.test',
          'bb.test': 'bb.test',
          '2.w.test': 'bb.test',
          'cc.test': 'aa.test',
        };
        assert.equal(certificate, wanted[other]);
      }
    }
  });

  test(`${version}: of names that no certificate has none is resumed, and without a name one of its own kind`, async () => {
    const unknown = await shake('xx.test', version);
    assert.equal((await shake('xx.test', version, unknown.session)).resumed, false);
    const nameless = await shake('', version);
    assert.equal((await shake('', version, nameless.session)).resumed, true);
  });
}
