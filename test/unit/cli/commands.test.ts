/** The commands over the API, against a real one on loopback: what they send, show, and end with. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { COMMANDS, runCommand } from '../../../src/cli/commands.ts';
import { CommandError, UsageError } from '../../../src/cli/failure.ts';
import { USAGE } from '../../../src/cli/help.ts';
import { CONFIGURATION, ROLLOUT, RULES, startApi } from '../../support/admin-api.ts';

let directory = '';
before(async () => {
  directory = await mkdtemp(path.join(tmpdir(), 'serin-cli-'));
});
after(() => rm(directory, { recursive: true, force: true }));

interface Ended {
  readonly code: number | undefined;
  readonly out: string;
  readonly err: string;
}

/** Runs a command; what it throws is shown as the command would end. */
async function run(
  port: number,
  words: readonly string[],
  env: Record<string, string> = {},
  stdin = '',
): Promise<Ended> {
  let [out, err] = ['', ''];
  const surroundings = {
    env: { SERIN_URL: `http://127.0.0.1:${port}`, ...env },
    stdin: async () => stdin,
    out: (text: string) => void (out += text),
    err: (text: string) => void (err += text),
    data: (text: string) => void (out += text),
    clock: { wallNow: Date.now, sleep: (milliseconds: number) => sleep(milliseconds) },
  };
  try {
    return { code: await runCommand(words, surroundings), out, err };
  } catch (error) {
    if (error instanceof UsageError) return { code: 64, out, err: error.message };
    if (error instanceof CommandError) return { code: error.exitCode, out, err: error.message };
    throw error;
  }
}

test('a release from the command line', async () => {
  const { port, call, store } = await startApi();
  const serin = (...words: string[]): Promise<Ended> => run(port, words);
  const file = path.join(directory, 'rollout.yaml');
  await writeFile(file, 'rules:\n  - { name: everyone, percentage: 10 }\nsteps: [{ percentage: 20 }]\n');
  assert.match((await serin('rollout', 'put', 'notes', file, '--dry-run')).out, /would be accepted/);
  assert.equal(store.commits.length, 0);
  const put = await serin('rollout', 'put', 'notes', file, '--wait', '--reason', 'release 8');
  assert.equal(put.code, 0, put.err);
  assert.match(put.out, /^rollout\.put of notes: APPLIED, 1 of 1 replicas, revision 1\n/);
  assert.equal(store.commits[0]?.reason, 'release 8');
  assert.match((await serin('status')).out, /^SERVICE +PHASE +EPOCH .*\nnotes +running +1 +1 /);
  assert.match((await serin('services')).out, /notes +file +notes\.example\.com +127\.0\.0\.1:7001/);
  assert.equal((await serin('rollout', 'step', 'notes', '--from', '10')).code, 0);
  assert.equal((await serin('rollout', 'percentage', 'notes', '50', '--rule', 'everyone')).code, 0);
  const lower = await serin('rollout', 'percentage', 'notes', '5');
  assert.equal(lower.code, 1);
  assert.match(lower.err, /^409 decrease_not_allowed: .*\n {2}rule "everyone" goes from 50 % down to 5 %/);
  assert.match(
    (await serin('rollout', 'percentage', 'notes', '5', '--allow-decrease')).out,
    /moves users back/,
  );
  for (const action of ['pause', 'resume', 'promote', 'rollback']) {
    assert.equal((await serin('rollout', action, 'notes', '--wait')).code, 0, action);
  }
  assert.equal((await serin('rollout', 'finish', 'notes')).code, 1);
  const history = await serin('history', 'notes', '--limit', '2');
  assert.match(history.out, /rollout\.rollback {2}by anonymous\n {4}~ \/phase: promoted → rolledBack/);
  assert.equal((await serin('rollout', 'restore', 'notes', '2')).code, 0);
  assert.equal((await call('GET', ROLLOUT)).body.rules[0]?.percentage, 20);
});

test('a document that was read can be put back, and not over what somebody changed meanwhile', async () => {
  const { port, call } = await startApi();
  await call('PUT', ROLLOUT, RULES);
  const read = await run(port, ['rollout', 'get', 'notes']);
  const edited = read.out.replace('percentage: 10', 'percentage: 30');
  assert.equal((await run(port, ['rollout', 'put', 'notes', '-'], {}, edited)).code, 0);
  const stale = await run(port, ['rollout', 'put', 'notes', '-'], {}, edited);
  assert.equal(stale.code, 1);
  assert.match(stale.err, /412 precondition_failed/);
  const now = await run(port, ['rollout', 'get', 'notes', '--json']);
  assert.equal((JSON.parse(now.out) as typeof RULES).rules[0]?.percentage, 30);
});

test('patches, dry runs, changes and the fleet, as the API takes them', async () => {
  const { port, call, store } = await startApi();
  await call('PUT', ROLLOUT, RULES);
  const patch = 'rules: [{ name: everyone, percentage: 40 }]\n';
  const words = ['rollout', 'patch', 'notes', '-'];
  const dry = await run(port, [...words, '--dry-run'], {}, patch);
  assert.match(dry.out, /10 → 40\nwould be accepted\n$/);
  const patched = await run(port, [...words, '--wait', '--json'], {}, patch);
  assert.equal(patched.code, 0, patched.err);
  assert.equal((await call('GET', ROLLOUT)).body.rules[0]?.percentage, 40);
  const commits = store.commits.length;
  const lower = await run(port, ['rollout', 'percentage', 'notes', '5', '--dry-run']);
  assert.equal(lower.code, 1);
  assert.match(lower.out, /would be refused: decrease_not_allowed/);
  for (const action of ['step', 'promote', 'finish', 'rollback', 'pause', 'resume']) {
    const { out } = await run(port, ['rollout', action, 'notes', '--dry-run']);
    assert.match(out, /would be (accepted|refused)/, action);
  }
  assert.match((await run(port, ['rollout', 'restore', 'notes', '1', '--dry-run'])).out, /would be refused/);
  assert.equal(store.commits.length, commits, 'a dry run writes nothing');
  const { id } = JSON.parse(patched.out) as { id: string };
  assert.match((await run(port, ['change', 'get', id])).out, /^rollout\.patch of notes: APPLIED/);
  const canceled = await run(port, ['change', 'cancel', id, '--reason', 'too late']);
  assert.match(canceled.out, /APPLIED/, 'nothing happens once it is written');
  const unknown = await run(port, ['change', 'get', 'none']);
  assert.equal(unknown.code, 1);
  assert.match(unknown.err, /404 change_not_found/);
  assert.match(
    (await run(port, ['fleet'])).out,
    /^REPLICA +STATE +LEADER .*\n.* live +yes +2 of 2 +0: 2, 1: 2 +\d\S+ +- +0 ms ago\n$/,
  );
  assert.match(
    (await run(port, ['endpoints'])).out,
    /^SERVICE +VARIANT .* HEALTH\nnotes +stable +127\.0\.0\.1:7001 +listed +1 +good +0 +0 +- +-\n/,
  );
});

test('explain shows the decision and why', async () => {
  const { port, call } = await startApi();
  const office = {
    name: 'office',
    match: { segment: 'office', header: { 'x-beta': { equals: 'yes' } } },
    percentage: 100,
  };
  await call('PUT', ROLLOUT, { rules: [office] });
  const words = ['explain', 'notes', '--address', '203.0.113.9', '-H', 'X-Beta: yes', '--path', '/a?b=c'];
  const { out, code } = await run(port, words);
  assert.equal(code, 0);
  assert.match(out, /^canary, because: rule "office"\n/);
  assert.match(out, /rule "office" 100 %: matches, admits the bucket\n/);
  assert.match(out, /yes {2}header x-beta/);
  const outside = await run(port, ['explain', 'notes', '--address', '198.51.100.1']);
  assert.match(outside.out, /^stable, because: noMatch\n/);
});

test('--wait ends with what became of the change', async () => {
  const { port, call, workers } = await startApi();
  await call('PUT', ROLLOUT, RULES);
  workers.automatic = false;
  const raise = run(port, ['rollout', 'percentage', 'notes', '20', '--wait']);
  const rolledBack = new Promise<void>((resolve) => {
    const apply = workers.apply.bind(workers);
    workers.apply = (snapshot) => {
      const sequence = apply(snapshot);
      if (snapshot.revision === 2) resolve();
      return sequence;
    };
  });
  await rolledBack;
  await call('POST', `${ROLLOUT}/rollback`, {});
  const { code, out } = await raise;
  assert.equal(code, 1);
  assert.match(out, /ROLLED_BACK, a rollback came first/);
  const late = await run(port, ['rollout', 'rollback', 'notes', '--wait', '--timeout', '60ms']);
  assert.equal(late.code, 69);
  assert.match(late.err, /still APPLYING, 0 of 1 replicas \(0 of 2 workers\) after 0\.06 s/);
});

test('tokens: from the environment or an option, and never in a message', async () => {
  const token = 'a-token-of-a-viewer';
  const sha256 = createHash('sha256').update(token).digest('hex');
  const { port } = await startApi({
    ...CONFIGURATION,
    admin: { tokens: [{ name: 'v', role: 'viewer', sha256 }] },
  });
  const none = await run(port, ['status']);
  assert.equal(none.code, 1);
  assert.match(none.err, /401 unauthorized: .*\n.*--token or SERIN_TOKEN/);
  assert.equal((await run(port, ['status'], { SERIN_TOKEN: token })).code, 0);
  assert.equal((await run(port, ['status', '--token', token])).code, 0);
  const forbidden = await run(port, ['rollout', 'pause', 'notes'], { SERIN_TOKEN: token });
  assert.equal(forbidden.code, 1);
  assert.ok(!forbidden.err.includes(token));
});

test('who does not answer, or is somebody else, is said', async () => {
  const other = createServer((_request, response) => {
    response.setHeader('connection', 'close').end('hi');
  });
  other.listen(0, '127.0.0.1');
  await once(other, 'listening');
  const { port } = other.address() as AddressInfo;
  const stranger = await run(port, ['status']);
  assert.equal(stranger.code, 69);
  assert.match(stranger.err, /is it Serin's API\?/);
  other.close();
  await once(other, 'close');
  const nobody = await run(port, ['status']);
  assert.equal(nobody.code, 69);
  assert.match(nobody.err, /nobody answers at .*--url or SERIN_URL/);
});

test('a wrong command line is refused before anything is sent', async () => {
  const table: readonly (readonly [readonly string[], RegExp])[] = [
    [['rollout', 'put', 'notes'], /missing FILE/],
    [['rollout', 'pause', 'notes', 'now'], /"now" is one word too many/],
    [['rollout', 'percentage', 'notes', 'ten'], /PERCENTAGE is a number, not "ten"/],
    [['rollout', 'pause', 'notes', '--allow-decrease'], /allow-decrease/],
    [['rollout', 'step', 'notes', '--from', 'x'], /--from is a number/],
    [['explain', 'notes', '-H', 'no colon'], /a header is "name: value"/],
    [['status', '--url', 'ftp://x'], /not the URL of an API/],
    [['rollout', 'put', 'notes', path.join(directory, 'missing.yaml')], /cannot read/],
  ];
  for (const [words, message] of table) {
    const { code, err } = await run(1, words);
    assert.equal(code, 64, words.join(' '));
    assert.match(err, message);
  }
  assert.equal((await run(1, ['rollout', 'advance', 'notes'])).code, undefined, 'no such command');
});

test('the help names every command', () => {
  for (const [name, { words }] of COMMANDS) {
    const [noun, verb = ''] = name.split(' ');
    assert.match(
      USAGE,
      new RegExp(`^ {2}${noun} (\\w+\\|)*${verb}(\\|\\w+)* ?${words.join(' ')}`, 'm'),
      name,
    );
  }
});
