/** Renewed certificates: what is worse than what is in use waits, is told of, and counts when nothing better is left. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createCredentials } from '../../../src/credentials/credentials.ts';
import { makeAuthority, type Issued } from '../../support/certificates.ts';

const DAY = 86_400_000;
const FILES = { certificate: '/tls.crt', key: '/tls.key' };
const authority = makeAuthority();
const other = makeAuthority('Another authority');

/** Files that the test writes, and the credentials read from them. */
async function reading(
  needed: { certificate?: string; key?: string; ca?: string },
  first: Partial<Issued> & { ca?: string },
) {
  const contents = new Map<string, string>();
  let version = 0;
  let ahead = 0;
  const lines: string[] = [];
  const reloads: boolean[] = [];
  const line =
    (level: string) =>
    (fields: object, message: string): void => {
      const { 'error.message': detail = '', 'serin.names': names = '' } = fields as Record<string, string>;
      lines.push(`${level} ${message}: ${detail}${names}`);
    };
  const write = (files: Partial<Issued> & { ca?: string }): void => {
    for (const name of ['certificate', 'key', 'ca'] as const) {
      if (files[name] !== undefined) contents.set(needed[name] ?? '', files[name]);
    }
    version += 1;
  };
  write(first);
  const credentials = createCredentials({
    readFile: async (file) => Buffer.from(contents.get(file) ?? ''),
    realPath: async (file) => file,
    look: async () => String(version),
    log: { info: line('info'), warn: line('warn'), error: line('error') },
    wallNow: () => Date.now() + ahead * DAY,
    onReload: (taken) => void reloads.push(taken),
  });
  await credentials.read([{ pointer: '', files: needed }]);
  return {
    lines,
    reloads,
    pass: (days: number) => void (ahead += days),
    /** Writes, lets it rest, and tells what is in use then. */
    async write(files: Partial<Issued> & { ca?: string }) {
      write(files);
      await credentials.refresh();
      await credentials.refresh();
    },
    refresh: () => credentials.refresh(),
    used: () => credentials.get(needed),
    stale: () => credentials.readings().some(({ stale }) => stale),
  };
}

test('one that has expired waits until the former has expired too', async () => {
  const good = authority.issue(['notes.test'], 20);
  const old = authority.issue(['notes.test'], -1);
  const certificates = await reading(FILES, good);
  await certificates.write(old);
  assert.equal(certificates.used().certificate, good.certificate);
  assert.deepEqual([certificates.stale(), certificates.reloads], [true, [false]]);
  assert.match(
    certificates.lines.at(-1) ?? '',
    /^error a changed certificate is not used.*: its certificate expired on 20/,
  );
  assert.equal(await certificates.refresh(), false);
  assert.deepEqual(certificates.reloads, [false], 'counted once');
  certificates.pass(21);
  assert.equal(await certificates.refresh(), true);
  assert.equal(certificates.used().certificate, old.certificate, 'nothing better is left');
  assert.deepEqual([certificates.stale(), certificates.reloads], [false, [false, true]]);
});

test('one that is not valid yet is taken when it is', async () => {
  const good = authority.issue(['notes.test'], 20);
  const early = authority.issue(['notes.test'], 90, 3);
  const certificates = await reading(FILES, good);
  await certificates.write(early);
  assert.equal(certificates.used().certificate, good.certificate);
  assert.match(certificates.lines.at(-1) ?? '', /its certificate is not valid before 20/);
  certificates.pass(2.9);
  assert.equal(await certificates.refresh(), false);
  certificates.pass(0.2);
  assert.equal(await certificates.refresh(), true);
  assert.equal(certificates.used().certificate, early.certificate);
});

test('one for none of the former names waits; one that lacks some is taken with a warning', async () => {
  const good = authority.issue(['notes.test', 'www.notes.test'], 20);
  const certificates = await reading(FILES, good);
  await certificates.write(authority.issue(['shop.test', '*.www.notes.test', 'x.notes.test'], 80));
  assert.equal(certificates.used().certificate, good.certificate);
  assert.match(
    certificates.lines.at(-1) ?? '',
    /none of the names of the former one \(notes\.test, www\.notes\.test\)/,
  );
  const some = authority.issue(['*.notes.test'], 80);
  await certificates.write(some);
  assert.equal(certificates.used().certificate, some.certificate);
  assert.equal(
    certificates.lines.at(-2),
    'warn a renewed certificate lacks names of the former one: notes.test',
  );
  assert.equal(certificates.stale(), false);
});

test('what waited is forgotten when the files change again, also back', async () => {
  const good = authority.issue(['notes.test'], 20);
  const certificates = await reading(FILES, good);
  await certificates.write(authority.issue(['notes.test'], -1));
  await certificates.write(good);
  assert.deepEqual([certificates.stale(), certificates.used().certificate], [false, good.certificate]);
  certificates.pass(30);
  assert.equal(await certificates.refresh(), false);
  assert.equal(certificates.used().certificate, good.certificate);
});

test('the key of another one, half a file and an empty one change nothing', async () => {
  const good = authority.issue(['notes.test'], 20);
  const next = authority.issue(['notes.test'], 80);
  const certificates = await reading(FILES, good);
  for (const [files, why] of [
    [{ key: next.key }, /not the key of the certificate/],
    [{ ...next, certificate: next.certificate.slice(0, 300) }, /ends within a certificate/],
    [
      { ...next, certificate: next.certificate + authority.certificate.slice(0, 300) },
      /ends within a certificate/,
    ],
    [{ ...next, certificate: '' }, /holds no certificate/],
    [{ ...next, key: '' }, /holds no private key/],
  ] as const) {
    await certificates.write(files);
    assert.equal(certificates.used().certificate, good.certificate);
    assert.equal(certificates.used().key, good.key);
    assert.match(certificates.lines.at(-1) ?? '', why);
    assert.equal(certificates.stale(), true);
  }
  await certificates.write(next);
  assert.deepEqual([certificates.used().key, certificates.stale()], [next.key, false]);
});

test('authorities of which none is valid wait; an empty or cut file is refused', async () => {
  const files = { ca: '/ca.pem' };
  const certificates = await reading(files, { ca: authority.certificate });
  for (const ca of ['', '# nothing\n', authority.certificate + other.certificate.slice(0, 400)]) {
    await certificates.write({ ca });
    assert.equal(certificates.used().ca, authority.certificate);
    assert.equal(certificates.stale(), true);
  }
  const expired = authority.issue(['An authority'], -1).certificate;
  await certificates.write({ ca: expired });
  assert.equal(certificates.used().ca, authority.certificate);
  assert.match(certificates.lines.at(-1) ?? '', /none of its authorities is valid now/);
  await certificates.write({ ca: expired + other.certificate });
  assert.equal(certificates.used().ca, expired + other.certificate);
});

test('a start takes what there is', async () => {
  const old = authority.issue(['notes.test'], -1);
  const certificates = await reading(FILES, old);
  assert.equal(certificates.used().certificate, old.certificate);
  const foreign = authority.issue(['shop.test'], -2);
  await certificates.write(foreign);
  assert.equal(certificates.used().certificate, foreign.certificate, 'the former one was no better');
});
