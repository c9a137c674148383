/** Tokens of `serin override create`, before the code that decides about requests. */
import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { decideOnce, KEYS, NOW, policy } from '../policy/fixtures.ts';
import { type Ended, serin } from './terminal.ts';

let directory = '';
let ring = '';
before(async () => {
  directory = await mkdtemp(path.join(tmpdir(), 'serin-override-'));
  ring = path.join(directory, 'secret');
  const [key] = KEYS;
  await writeFile(ring, `k1:${Buffer.from(key!.secret).toString('base64url')}\n`, { mode: 0o600 });
});
after(() => rm(directory, { recursive: true, force: true }));

function create(service: string, variant: string, ttl = '1h'): Promise<Ended> {
  const words = `override create --variant ${variant} --ttl ${ttl} --secret-file ${ring} --service`;
  return serin([...words.split(' '), service], { now: NOW * 1000 });
}

test('the token decides as it says, in the header and in the cookie, until it ends', async () => {
  const nobody = policy([{ name: 'everyone', percentage: 0 }]);
  const always = (await create('notes', 'always')).out.trim();
  for (const request of [
    { headers: { 'x-serin-override': always } },
    { cookies: { serin_override: always } },
  ]) {
    const { variant, reason } = decideOnce(nobody, request);
    assert.deepEqual([variant, reason], ['canary', 'override']);
    assert.equal(decideOnce(nobody, request, 3, NOW + 3599).variant, 'canary');
    assert.equal(decideOnce(nobody, request, 3, NOW + 3600).variant, 'stable');
  }
  const everybody = policy([{ name: 'everyone', percentage: 100 }]);
  const never = (await create('notes', 'never')).out.trim();
  assert.equal(decideOnce(everybody, { headers: { 'x-serin-override': never } }).variant, 'stable');
  const other = (await create('shop', 'always')).out.trim();
  assert.equal(decideOnce(nobody, { headers: { 'x-serin-override': other } }).variant, 'stable');
});

test('the token is alone on standard output; how to send it is said beside it, without the token', async () => {
  const { code, out, err } = await create('notes', 'always');
  assert.equal(code, 0);
  assert.match(out, /^1\.a\.[0-9a-z]+\.notes\.[A-Za-z0-9_-]{22}\n$/);
  assert.match(err, /valid until 2023-11-14T23:13:20\.000Z.*"notes"/);
  assert.match(err, /x-serin-override: TOKEN/);
  assert.match(err, /serin_override=TOKEN/);
  assert.ok(!err.includes(out.trim()));
});

test('a name that no token can carry is refused, rather than made into a token that never works', async () => {
  const { code, out, err } = await create('é'.repeat(200), 'always');
  assert.equal(code, 64);
  assert.equal(out, '');
  assert.match(err, /cannot be the name of a service/);
  assert.equal((await create('notes', 'always', 'soon')).code, 64);
  assert.equal((await create('notes', 'always', '500ms')).code, 64);
});
