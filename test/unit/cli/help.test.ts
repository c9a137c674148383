/** The help: on every command, of every option, and nothing of what there is not. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { COMMANDS } from '../../../src/cli/commands.ts';
import { helpOn } from '../../../src/cli/help.ts';
import { LOCAL_COMMANDS } from '../../../src/cli/local-commands.ts';
import { COMMON } from '../../../src/cli/options.ts';
import { serin } from './terminal.ts';

test('the help on a command has its words and exactly its options', () => {
  const commands = [
    ...[...COMMANDS].map(([name, { words, options }]) => ({
      name,
      words,
      options: { ...options, ...COMMON },
    })),
    ...[...LOCAL_COMMANDS].map(([name, { words, options }]) => ({ name, words, options })),
  ];
  for (const { name, words, options } of commands) {
    const help = helpOn(name) ?? '';
    assert.ok(help.startsWith(`usage: serin ${[name, ...words].join(' ')}`), name);
    // Options begin their lines; what a text says of others is no promise.
    const lines = help.split('\n').filter((line) => /^ +-/.test(line));
    const named = lines.flatMap((line) =>
      [...line.slice(0, 26).matchAll(/--([a-z-]+)/g)].map(([, one]) => one),
    );
    assert.deepEqual(new Set(named), new Set(Object.keys(options)), name);
  }
});

test('help is asked for in several ways, and is no failure', async () => {
  const put = await serin(['rollout', 'put', '--help']);
  assert.equal(put.code, 0);
  assert.match(put.out, /^usage: serin rollout put SERVICE FILE/);
  assert.equal((await serin(['help', 'rollout', 'put'])).out, put.out);
  assert.equal((await serin(['rollout', 'put', 'notes', 'x.yaml', '-h'])).out, put.out);
  const group = await serin(['rollout', '--help']);
  assert.match(group.out, /serin rollout get .*serin rollout restore/s);
  assert.match((await serin(['explain', 'notes', '--help'])).out, /^usage: serin explain SERVICE/);
  assert.equal((await serin(['help'])).out, (await serin(['--help'])).out);
});

test('what is no command is said so, also by names that objects have', async () => {
  for (const words of [
    ['constructor'],
    ['rollout', 'advance'],
    ['rollout'],
    ['advance', '--help'],
    ['toString', 'x'],
  ]) {
    const { code, err, out } = await serin(words);
    assert.equal(code, 64, words.join(' '));
    assert.equal(out, '');
    assert.match(err, /^serin: there is no command "/);
  }
  const { code, err } = await serin([]);
  assert.equal(code, 64);
  assert.match(err, /^usage: serin COMMAND/);
});
