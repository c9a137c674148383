/** What the API, files and the command line say is printed without doing anything to the terminal. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parse } from 'yaml';
import { fakeApi, serin } from './terminal.ts';

const EVIL = 'x\u001b[2J\u009b31m\u202egnp.exe\u200b\r\nFAKE  line\u0007\u007f';
const HOSTILE = /[^\n\t\P{Cc}]|\p{Cf}/u;

/** Every text of an answer is hostile, under every name that commands look at. */
function answer(depth = 0): unknown {
  const names =
    'name,status,phase,service,services,rollout,history,diff,revision,at,kind,actor,reason,replicas,state,endpoints,address,variant,standing,decision,rules,conditions,expected,seen,percentage,stable,canary,note,progress,id,trouble,store,condition,disagreements,faults,detail,version,warnings,decreases,pointer,from,to,op,rule,identity,tier,value'.split(
      ',',
    );
  const lists = new Set([
    'services',
    'history',
    'diff',
    'replicas',
    'endpoints',
    'rules',
    'conditions',
    'faults',
    'decreases',
  ]);
  const texts = new Set(['disagreements', 'warnings']);
  return Object.fromEntries(
    names.map((name) => [
      name,
      texts.has(name) ? [EVIL] : lists.has(name) ? (depth > 2 ? [] : [answer(depth + 1)]) : EVIL,
    ]),
  );
}

test('no command prints a control character, or a line that another one wrote', async () => {
  const { url } = await fakeApi(() => ({ status: 200, body: answer() }));
  const commands = [
    'status',
    'services',
    'endpoints',
    'fleet',
    'comparison notes',
    'explain notes',
    'history notes',
    'change get x',
    'rollout get notes',
  ];
  for (const command of commands) {
    for (const options of [[], ['--json'], ['--yaml']]) {
      const { out, err } = await serin([...command.split(' '), ...options, '--url', url]);
      assert.doesNotMatch(out + err, HOSTILE, `${command} ${options.join()}`);
      if (options.length === 0 && !command.includes('get')) assert.doesNotMatch(out + err, /^FAKE/m, command);
    }
  }
});

test('YAML and JSON say the same as the API', async () => {
  const { url } = await fakeApi(() => ({ status: 200, body: { rules: [{ name: EVIL, percentage: 1 }] } }));
  const yaml = await serin(['rollout', 'get', 'notes', '--url', url]);
  assert.deepEqual(parse(yaml.out), { rules: [{ name: EVIL, percentage: 1 }] });
  const json = await serin(['rollout', 'get', 'notes', '--json', '--url', url]);
  assert.deepEqual(JSON.parse(json.out), { rules: [{ name: EVIL, percentage: 1 }] });
});

test('refusals, unknown words and files print nothing of the kind either', async () => {
  const problem = {
    code: EVIL,
    detail: EVIL,
    errors: [{ pointer: EVIL, detail: EVIL }],
    figures: { [EVIL]: EVIL },
  };
  const { url } = await fakeApi(() => ({ status: 409, body: problem }));
  for (const words of [
    ['status', '--url', url],
    [EVIL],
    ['help', EVIL],
    ['status', `--${EVIL}`],
    ['explain', 'notes', '--cookie', EVIL],
    ['status', '--url', EVIL],
    ['rollout', 'put', 'notes', EVIL, '--url', url],
    ['config', 'check', EVIL],
  ]) {
    const { code, out, err } = await serin(words);
    assert.notEqual(code, 0);
    assert.doesNotMatch(out + err, HOSTILE, words[0]);
    if (!words.includes('put') && !words.includes('check')) assert.doesNotMatch(err, /^FAKE/m, words[0]);
  }
});
