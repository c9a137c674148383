import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { describe, it } from 'node:test';
import { faultsOf, FILE, load } from './loading.ts';

describe('tokens', () => {
  const TOKEN = 'correct-horse-battery-staple';
  const SHA = createHash('sha256').update(TOKEN).digest('hex');
  const one = (source: string) => `admin: { tokens: [{ name: a, role: viewer, ${source} }] }`;

  it('are given by their hashes, wherever they came from', async () => {
    const text = [
      'admin:',
      '  tokens:',
      '    - { name: file, role: operator, services: [notes], file: /run/token }',
      '    - { name: env, role: admin, env: SERIN_TOKEN_X }',
      `    - { name: hash, role: viewer, sha256: ${'0a'.repeat(32)} }`,
    ].join('\n');
    const loaded = await load({
      text,
      files: { '/run/token': `${TOKEN}\n` },
      env: { SERIN_TOKEN_X: 'another-long-token' },
    });
    assert.deepEqual(loaded.configuration.admin?.tokens, [
      { name: 'file', role: 'operator', services: ['notes'], sha256: SHA },
      { name: 'env', role: 'admin', sha256: createHash('sha256').update('another-long-token').digest('hex') },
      { name: 'hash', role: 'viewer', sha256: '0a'.repeat(32) },
    ]);
    assert.deepEqual(loaded.files, [FILE, '/run/token']);
    assert.doesNotMatch(JSON.stringify(loaded), new RegExp(`${TOKEN}|another-long`));
  });

  it('have exactly one source', async () => {
    assert.deepEqual(await faultsOf('admin: { tokens: [{ name: a, role: viewer }] }'), [
      '1 /admin/tokens/0: expected exactly one of the fields "sha256", "file" or "env", got none',
    ]);
    assert.deepEqual(
      await faultsOf({
        text: one(`file: /run/token, sha256: ${SHA}`),
        files: { '/run/token': 'another-long-token' },
      }),
      [
        '1 /admin/tokens/0: expected exactly one of the fields "sha256", "file" or "env", got "sha256" and "file"',
      ],
    );
  });

  it('that are missing, short or odd are refused without being shown', async () => {
    const from = async (text: string) => {
      const found = await faultsOf({ text: one('file: /run/token'), files: { '/run/token': text } });
      if (text !== '') assert.ok(!JSON.stringify(found).includes(text.trim()));
      return found;
    };
    assert.deepEqual(await faultsOf(one('file: /run/token')), [
      '1 /admin/tokens/0/file: cannot read the token from /run/token: there is no such file',
    ]);
    assert.deepEqual(await faultsOf(one('env: MY_TOKEN')), [
      '1 /admin/tokens/0/env: the environment variable MY_TOKEN is not set; set it to the token',
    ]);
    assert.deepEqual(await from(''), [
      '1 /admin/tokens/0/file: the file /run/token holds 0 characters; expected a token of at least 16',
    ]);
    assert.deepEqual(await from('too-short\n'), [
      '1 /admin/tokens/0/file: the file /run/token holds 9 characters; expected a token of at least 16',
    ]);
    assert.match(
      (await from('two tokens in one file'))[0] ?? '',
      /holds spaces, line breaks or other characters/,
    );
    assert.match(
      (await faultsOf(one('sha256: hunter2hunter2')))[0] ?? '',
      /^1 \/admin\/tokens\/0\/sha256: expected the token's SHA-256 as 64 lower-case hex digits, got a string$/,
    );
  });

  it('and their names are all different', async () => {
    const list = (...tokens: string[]) => `admin: { tokens: [${tokens.join(', ')}] }`;
    assert.deepEqual(
      await faultsOf(
        list(
          `{ name: a, role: viewer, sha256: ${SHA} }`,
          `{ name: a, role: viewer, sha256: ${'0a'.repeat(32)} }`,
        ),
      ),
      [
        '1 /admin/tokens/1/name: the name "a" is that of token 0 already; the history needs to tell them apart',
      ],
    );
    assert.deepEqual(
      await faultsOf({
        text: list(`{ name: a, role: viewer, sha256: ${SHA} }`, '{ name: b, role: viewer, env: X }'),
        env: { X: TOKEN },
      }),
      [
        '1 /admin/tokens/1/env: this is the token of "a" as well; give each its own, so that the history can tell them apart',
      ],
    );
  });
});
