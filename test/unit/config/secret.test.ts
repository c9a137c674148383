import assert from 'node:assert/strict';
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { linkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import * as fc from 'fast-check';
import { openKeyRing, parseKeyRing } from '../../../src/config/secret.ts';
import { DocumentError } from '../../../src/schema/faults.ts';
import { KeyRing } from '../../../src/policy/keys.ts';

const A = Buffer.alloc(32, 1).toString('base64url');
const B = Buffer.alloc(40, 2).toString('base64url');

let scratch = '';
let count = 0;
before(async () => {
  scratch = await mkdtemp(path.join(tmpdir(), 'serin-secret-'));
});
after(() => rm(scratch, { recursive: true, force: true }));

/** The name of a file in a directory of its own. */
async function fresh(text?: string, mode = 0o600): Promise<string> {
  const directory = path.join(scratch, String(count++));
  await mkdir(directory);
  const file = path.join(directory, 'secret');
  if (text !== undefined) {
    await writeFile(file, text);
    await chmod(file, mode);
  }
  return file;
}

const refused = (code: string, text: RegExp) => (error: unknown) => {
  assert.ok(error instanceof DocumentError, String(error));
  assert.equal(error.code, code);
  assert.match(error.message, text);
  return true;
};

describe('a key ring that is there', () => {
  it('is read in its order, comments and empty lines aside', async () => {
    const file = await fresh(`# ours\n\nnew:${A}\r\n  old_1:${B}\n`);
    const keys = await openKeyRing({ file, create: true });
    assert.deepEqual(
      keys.map(({ id, secret }) => [id, Buffer.from(secret).toString('base64url')]),
      [
        ['new', A],
        ['old_1', B],
      ],
    );
    assert.equal(new KeyRing(keys).currentId, 'new');
  });

  it('is refused when others can read or write it', async () => {
    for (const mode of [0o604, 0o644, 0o666]) {
      await assert.rejects(
        openKeyRing({ file: await fresh(`k:${A}`, mode), create: true }),
        refused('secret_exposed', /every user of this machine can read it; run `chmod 600`/),
      );
    }
    for (const mode of [0o620, 0o602]) {
      await assert.rejects(
        openKeyRing({ file: await fresh(`k:${A}`, mode), create: true }),
        refused('secret_exposed', /other users of this machine can write it; run `chmod 600`/),
      );
    }
    for (const mode of [0o400, 0o440, 0o600, 0o640]) {
      assert.equal((await openKeyRing({ file: await fresh(`k:${A}`, mode), create: true })).length, 1);
    }
  });

  it('is judged by the file that a link leads to', async () => {
    const file = await fresh(`k:${A}`, 0o644);
    await symlink(file, `${file}-link`);
    await assert.rejects(
      openKeyRing({ file: `${file}-link`, create: true }),
      refused('secret_exposed', /every user/),
    );
  });

  it('is refused when it cannot be read', async () => {
    const file = await fresh();
    await mkdir(file);
    await chmod(file, 0o700);
    await assert.rejects(openKeyRing({ file, create: true }), refused('secret_unreadable', /./));
    await assert.rejects(
      openKeyRing({ file: await fresh(), create: false }),
      refused('secret_unreadable', /there is no such file; copy the key ring that the other replicas use/),
    );
    await assert.rejects(
      openKeyRing({ file: await fresh('x'.repeat(70_000)), create: true }),
      refused('secret_invalid', /has 70000 bytes/),
    );
  });
});

describe('a key ring that is malformed', () => {
  for (const [what, text, fault] of [
    ['empty', '', /holds no key; expected a line such as k1:SECRET/],
    ['only comments', '# nothing\n', /holds no key/],
    ['no colon', `${A}\n`, /line 1 .*expected id:secret/],
    ['an id with a space', `my key:${A}`, /line 1 .*expected id:secret/],
    ['an id that is too long', `${'k'.repeat(33)}:${A}`, /line 1 .*expected id:secret/],
    ['padding', `k:${Buffer.alloc(32, 1).toString('base64')}`, /line 1 .*without "="/],
    [
      'a short secret',
      `k:${Buffer.alloc(31).toString('base64url')}`,
      /line 1 .*the secret of "k" has 31 bytes; expected at least 32/,
    ],
    ['half a character', `k:${A}AA`, /line 1 .*is not base64url; a character is missing or too many/],
    ['an id twice', `k:${A}\nk:${B}`, /line 2 .*the id "k" is there already/],
    ['a secret twice', `k:${A}\n\nl:${A}`, /line 3 .*the secret of "l" is that of another key/],
  ] as const) {
    it(what, async () => {
      await assert.rejects(
        openKeyRing({ file: await fresh(text), create: true }),
        refused('secret_invalid', fault),
      );
    });
  }

  it('names every line, and shows no part of a secret', () => {
    const secret = 'abcdefghijklmnopqrstuvwxyz';
    assert.throws(
      () => parseKeyRing(`k ${secret}\nl:${secret}\n`, 'ring'),
      (error) => {
        assert.ok(error instanceof DocumentError);
        assert.deepEqual(
          error.faults.map((one) => one.line),
          [1, 2],
        );
        assert.doesNotMatch(error.message, /abcdef|uvwxyz/);
        return true;
      },
    );
  });

  it('property: never throws anything but a DocumentError', () => {
    fc.assert(
      fc.property(
        fc.array(fc.oneof(fc.string(), fc.constantFrom(`k:${A}`, '#', 'k:')), { maxLength: 5 }),
        (lines) => {
          try {
            assert.ok(parseKeyRing(lines.join('\n'), 'ring').length > 0);
          } catch (error) {
            assert.ok(error instanceof DocumentError, String(error));
          }
        },
      ),
    );
  });
});

describe('a key ring that is made', () => {
  it('has one random key, is for its owner only, and is the same at the next start', async () => {
    const file = await fresh();
    const made = await openKeyRing({ file, create: true, wallNow: () => Date.parse('2026-03-01T12:00:00Z') });
    assert.equal(made.length, 1);
    assert.match(made[0]?.id ?? '', /^k20260301-[0-9a-f]{8}$/);
    assert.equal(made[0]?.secret.length, 32);
    assert.equal((await stat(file)).mode & 0o777, 0o600);
    assert.deepEqual(await openKeyRing({ file, create: true }), made);
    assert.deepEqual(await readdir(path.dirname(file)), ['secret'], 'nothing is left beside it');
    const other = await openKeyRing({ file: await fresh(), create: true });
    assert.notDeepEqual(other[0]?.secret, made[0]?.secret);
  });

  it('never replaces one that another process made meanwhile', async () => {
    const file = await fresh();
    const theirs = await fresh(`theirs:${B}\n`);
    const keys = await openKeyRing({
      file,
      create: true,
      random: (size) => new Uint8Array(size).fill(size === 32 ? 7 : 1),
      wallNow: () => {
        // Between the look for the file and its making.
        linkSync(theirs, file);
        return 0;
      },
    });
    assert.deepEqual(
      keys.map((key) => key.id),
      ['theirs'],
    );
    assert.equal(await readFile(file, 'utf8'), `theirs:${B}\n`);
    assert.deepEqual(await readdir(path.dirname(file)), ['secret']);
  });

  it('says what to do where it cannot be', async () => {
    const missing = path.join(scratch, 'no', 'such', 'directory', 'secret');
    await assert.rejects(
      openKeyRing({ file: missing, create: true }),
      refused(
        'secret_unreadable',
        /it cannot be made: .*let the user that runs the proxy write its directory, or set secretFile/,
      ),
    );
  });
});
