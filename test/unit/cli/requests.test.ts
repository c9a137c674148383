/** What the command sends, byte for byte, and what it makes of answers that a healthy API seldom gives. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fakeApi, type Scripted, type Seen, serin } from './terminal.ts';

const CHANGE = {
  id: 'c 1',
  service: 'notes',
  kind: 'rollout.put',
  status: 'APPLYING',
  progress: '0 of 1 replicas',
  revision: 8,
  // Nothing listens there: whoever asked it would fail.
  statusUrl: 'http://127.0.0.1:1/v1/changes/c%201',
};
const APPLIED = { ...CHANGE, status: 'APPLIED', progress: '1 of 1 replicas' };

function problem(status: number, code: string, more: object = {}): Scripted {
  return {
    status,
    headers: { 'content-type': 'application/problem+json' },
    body: { type: 'about:blank', title: 'T', status, detail: `about ${code}.`, code, errors: [], ...more },
  };
}

test('put reads the ETag first and sends it as If-Match', async () => {
  const { url, seen } = await fakeApi(({ method }) =>
    method === 'GET' ? { headers: { etag: '"7"' }, body: {} } : { status: 202, body: CHANGE },
  );
  const words = [
    'rollout',
    'put',
    'a b',
    '-',
    '--reason',
    'why not',
    '--request-id',
    'r1',
    '--allow-decrease',
  ];
  const { code, err, out } = await serin([...words, '--url', url], { stdin: 'rules: []\n' });
  assert.equal(code, 0, err);
  assert.match(out, /^rollout\.put of notes: APPLYING/);
  const [read, put] = seen;
  assert.equal(seen.length, 2);
  assert.equal(`${read?.method} ${read?.url}`, 'GET /v1/services/a%20b/rollout');
  assert.equal(
    `${put?.method} ${put?.url}`,
    'PUT /v1/services/a%20b/rollout?requestId=r1&reason=why+not&allowDecrease=true',
  );
  assert.equal(put?.headers['if-match'], '"7"');
  assert.equal(put?.headers['content-type'], 'application/json');
  assert.deepEqual(put?.body, { rules: [] });
});

test("put sends a read document's own revision, and not its status; a first rollout has no If-Match", async () => {
  const { url, seen } = await fakeApi(({ method }) =>
    method === 'GET' ? problem(404, 'rollout_not_found') : { status: 202, body: CHANGE },
  );
  const env = { SERIN_URL: url };
  await serin(['rollout', 'put', 'notes', '-'], { env, stdin: '{"rules":[],"status":{"revision":4}}' });
  assert.equal(seen.length, 1);
  assert.equal(seen[0]?.headers['if-match'], '"4"');
  assert.deepEqual(seen[0]?.body, { rules: [] });
  await serin(['rollout', 'put', 'notes', '-'], { env, stdin: 'rules: []' });
  assert.equal(seen.at(-1)?.method, 'PUT');
  assert.equal(seen.at(-1)?.headers['if-match'], undefined);
  await serin(['rollout', 'put', 'notes', '-', '--if-match', '"9"'], { env, stdin: 'rules: []' });
  assert.equal(seen.at(-1)?.headers['if-match'], '"9"');
});

test('patch is a merge patch over what is there', async () => {
  const { url, seen } = await fakeApi(({ method }) =>
    method === 'GET' ? { headers: { etag: '"7"' }, body: {} } : { status: 202, body: CHANGE },
  );
  const { code } = await serin(['rollout', 'patch', 'notes', '-', '--url', url], { stdin: 'exclude: null' });
  assert.equal(code, 0);
  const { method, headers, body } = seen[1] as Seen;
  assert.equal(method, 'PATCH');
  assert.equal(headers['content-type'], 'application/merge-patch+json');
  assert.equal(headers['if-match'], '"7"');
  assert.deepEqual(body, { exclude: null });
});

test('every action goes to its path, with its fields and an id of its own', async () => {
  const { url, seen } = await fakeApi(() => ({ status: 202, body: CHANGE }));
  const env = { SERIN_URL: url };
  const table: readonly (readonly [string, string, object])[] = [
    [
      'percentage notes 12.5 --rule sh --allow-decrease',
      'rollout/percentage',
      { percentage: 12.5, rule: 'sh', allowDecrease: true },
    ],
    ['step notes --from 10', 'rollout/step', { from: 10 }],
    ['step notes', 'rollout/step', {}],
    ['promote notes', 'rollout/promote', {}],
    ['finish notes', 'rollout/finish', {}],
    ['rollback notes --reason bad', 'rollout/rollback', { reason: 'bad' }],
    ['pause notes', 'rollout/pause', {}],
    ['resume notes', 'rollout/resume', {}],
    ['restore notes 3', 'history/3/restore', {}],
  ];
  const ids = new Set<unknown>();
  for (const [words, path, fields] of table) {
    assert.equal((await serin(['rollout', ...words.split(' ')], { env })).code, 0, words);
    const { method, url: sent, body } = seen.at(-1) as Seen;
    assert.equal(`${method} ${sent}`, `POST /v1/services/notes/${path}`);
    const { requestId, ...rest } = body as { requestId: unknown };
    assert.equal(typeof requestId, 'string');
    ids.add(requestId);
    assert.deepEqual(rest, fields, words);
  }
  assert.equal(ids.size, table.length);
});

test('a dry run shows what would be, and ends as the write would', async () => {
  const dry = {
    diff: [{ op: 'replace', pointer: '/rules/0/percentage', name: 'everyone', from: 10, to: 5 }],
    decreases: [{ detail: 'rule "everyone" goes down' }],
    warnings: ['networks overlap'],
  };
  const { url, seen } = await fakeApi((_, count) => ({
    body: { ...dry, refusal: count === 1 ? null : { code: 'wrong_phase', detail: 'It is idle.' } },
  }));
  const words = ['rollout', 'percentage', 'notes', '5', '--dry-run', '--url', url];
  const accepted = await serin(words);
  assert.equal(seen[0]?.url, '/v1/services/notes/rollout/percentage?dryRun=true');
  assert.equal(accepted.code, 0);
  assert.equal(
    accepted.out,
    '~ /rules/0/percentage (everyone): 10 → 5\nmoves users back: rule "everyone" goes down\n' +
      'warning: networks overlap\nwould be accepted\n',
  );
  const refused = await serin(words);
  assert.equal(refused.code, 1);
  assert.match(refused.out, /would be refused: wrong_phase: It is idle\.\n$/);
  assert.equal((await serin([...words, '--wait'])).code, 64);
  assert.equal(seen.length, 2, 'nothing was sent');
});

test('explain describes headers and cookies', async () => {
  const { url, seen } = await fakeApi(() => ({
    body: { decision: { variant: 'stable', reason: 'idle', rule: null } },
  }));
  const words =
    'explain notes --method POST --path /a?b=1 --address 2001:db8::7 --identity u --secure --revision 3 --cookie uid=4=2 --cookie b=';
  const { code, err } = await serin([
    ...words.split(' '),
    '-H',
    'Constructor: a:b',
    '--header',
    'x:1',
    '-H',
    'X: 2',
    '--url',
    url,
  ]);
  assert.equal(code, 0, err);
  assert.equal(seen[0]?.url, '/v1/services/notes/explain');
  assert.deepEqual(seen[0]?.body, {
    headers: { constructor: ['a:b'], x: ['1', '2'], cookie: ['uid=4=2', 'b='] },
    method: 'POST',
    path: '/a?b=1',
    clientAddress: '2001:db8::7',
    identity: 'u',
    secure: true,
    revision: 3,
  });
  for (const cookie of ['uid', '=1', 'a=1; b=2']) {
    const wrong = await serin(['explain', 'notes', '--cookie', cookie, '--url', url]);
    assert.equal(wrong.code, 64);
    assert.match(wrong.err, /a cookie is "name=value"/);
  }
});

test('changes are shown and canceled, the fleet is a table', async () => {
  const one = {
    name: 'one',
    version: '1.2.3',
    address: '10.0.0.1:9092',
    state: 'live',
    leader: true,
    revision: 7,
    workers: [
      { index: 0, revision: 8 },
      { index: 1, revision: 7 },
    ],
    rolledBack: [],
    faults: [],
    fenced: false,
    ageMs: 12,
  };
  const two = {
    ...one,
    name: 'two',
    address: '10.0.0.2:9092',
    state: 'unreachable',
    leader: false,
    rolledBack: ['r1'],
    faults: [{ service: 'notes', revision: 8, detail: 'a newer version wrote it' }],
    fenced: true,
    ageMs: 63_400,
  };
  const fleet = {
    revision: 8,
    store: { condition: 'full', trouble: 'OOM command not allowed' },
    disagreements: ['two defines the segment "office" otherwise'],
    replicas: [one, two],
  };
  const { url, seen } = await fakeApi((request) => ({ body: request.url === '/v1/fleet' ? fleet : APPLIED }));
  const env = { SERIN_URL: url };
  assert.equal(
    (await serin(['change', 'get', 'c 1'], { env })).out,
    'rollout.put of notes: APPLIED, 1 of 1 replicas, revision 8\n',
  );
  assert.equal((await serin(['change', 'cancel', 'c 1', '--reason', 'late'], { env })).code, 0);
  assert.deepEqual(
    seen.map(({ method, url: sent, body }) => [method, sent, body]),
    [
      ['GET', '/v1/changes/c%201', null],
      ['POST', '/v1/changes/c%201/cancel', { reason: 'late' }],
    ],
  );
  assert.equal(
    (await serin(['fleet'], { env })).out,
    [
      'REPLICA  STATE        LEADER  REVISION  WORKERS     VERSION  ADDRESS        HEARD OF',
      'one      live         yes     7 of 8    0: 8, 1: 7  1.2.3    10.0.0.1:9092  12 ms ago',
      'two      unreachable  no      7 of 8    0: 8, 1: 7  1.2.3    10.0.0.2:9092  63.4 s ago',
      '',
      'the store is full: OOM command not allowed',
      'percentages cannot be raised while replicas differ:',
      '  two defines the segment "office" otherwise',
      'two has lost the store for too long and gives stable to everybody',
      'two holds rollbacks that the store does not have yet: r1',
      'two can not read notes at revision 8 and serves it by the former one: a newer version wrote it',
      '',
    ].join('\n'),
  );
  assert.deepEqual(JSON.parse((await serin(['fleet', '--json'], { env })).out), fleet);
});

test('--wait polls with growing pauses, asks again where the API is away, and ends when it is final', async () => {
  const { url, seen } = await fakeApi(({ method }, count) => {
    if (method === 'POST') return { status: 202, body: CHANGE };
    if (count === 3) return null;
    if (count === 4) return problem(503, 'stopping');
    return { body: count < 10 ? CHANGE : APPLIED };
  });
  const { code, out, err, pauses } = await serin(['rollout', 'pause', 'notes', '--wait', '--url', url]);
  assert.equal(code, 0, err);
  assert.match(out, /APPLIED, 1 of 1 replicas/);
  assert.equal(err, 'APPLIED, 1 of 1 replicas\n');
  assert.deepEqual(pauses, [50, 100, 200, 400, 800, 1000, 1000, 1000, 1000]);
  assert.ok(seen.slice(1).every(({ method, url: sent }) => method === 'GET' && sent === '/v1/changes/c%201'));
});

test('--wait is bounded, and says what it knows', async () => {
  const { url, seen } = await fakeApi(({ method }) =>
    method === 'POST' ? { status: 202, body: CHANGE } : problem(503, 'stopping'),
  );
  const words = ['rollout', 'pause', 'notes', '--wait', '--timeout', '400ms', '--url', url];
  const { code, err, pauses } = await serin(words);
  assert.equal(code, 69);
  assert.match(err, /change c 1 is still APPLYING, 0 of 1 replicas after 0\.4 s; at last 503 stopping/);
  assert.deepEqual(pauses, [50, 100, 200, 50]);
  const sent = seen.length;
  assert.equal(
    (await serin(['rollout', 'pause', 'notes', '--wait', '--timeout', 'soon', '--url', url])).code,
    64,
  );
  assert.equal(seen.length, sent, 'a wrong --timeout is said before anything is written');
});

test('--wait fails for every end but APPLIED, and for a change that is not there any more', async () => {
  for (const status of ['ROLLED_BACK', 'FAILED', 'SUPERSEDED', 'CANCELED']) {
    const { url } = await fakeApi(({ method }) => ({
      status: method === 'POST' ? 202 : 200,
      body: method === 'POST' ? CHANGE : { ...CHANGE, status },
    }));
    assert.equal((await serin(['rollout', 'pause', 'notes', '--wait', '--url', url])).code, 1, status);
  }
  const { url, seen } = await fakeApi(({ method }) =>
    method === 'POST' ? { status: 202, body: CHANGE } : problem(404, 'change_not_found'),
  );
  assert.equal((await serin(['rollout', 'pause', 'notes', '--wait', '--url', url])).code, 1);
  assert.equal(seen.length, 2);
});

test('a refusal shows its code, every pointer and the figures', async () => {
  const { url } = await fakeApi(() =>
    problem(422, 'rollout_invalid', {
      errors: [
        { pointer: '/rules/0/percentge', detail: 'did you mean "percentage"?', line: 3 },
        { pointer: '', detail: 'the whole is wrong' },
      ],
      figures: { from: 50, to: 5 },
    }),
  );
  const { code, err, out } = await serin(['rollout', 'pause', 'notes', '--url', url]);
  assert.equal(code, 1);
  assert.equal(out, '');
  assert.equal(
    err,
    'serin: 422 rollout_invalid: about rollout_invalid.\n' +
      '  line 3 /rules/0/percentge: did you mean "percentage"?\n  the whole is wrong\n  (from 50, to 5)\n',
  );
});

test('statuses end with the code that tells whether to try again', async () => {
  const table = [
    [401, 1],
    [403, 1],
    [404, 1],
    [409, 1],
    [412, 1],
    [302, 1],
    [500, 1],
    [502, 69],
    [503, 69],
    [504, 69],
  ] as const;
  for (const [status, expected] of table) {
    const { url } = await fakeApi(() => ({
      ...problem(status, 'c'),
      headers: { location: 'http://127.0.0.1:1/' },
    }));
    assert.equal((await serin(['services', '--url', url])).code, expected, String(status));
  }
  const { url } = await fakeApi(() => null);
  const cut = await serin(['services', '--url', url]);
  assert.equal(cut.code, 69);
  assert.match(cut.err, /nobody answers at/);
});

test('an API behind a path is reached there, with the token in its header alone', async () => {
  const { url, seen } = await fakeApi(() => ({ body: { services: [] } }));
  const env = { SERIN_URL: `${url}/serin/`, SERIN_TOKEN: 'from-environment\n' };
  assert.equal((await serin(['services'], { env })).code, 0);
  assert.equal(seen[0]?.url, '/serin/v1/services');
  assert.equal(seen[0]?.headers.authorization, 'Bearer from-environment');
  assert.equal((await serin(['services', '--token', 'given'], { env })).code, 0);
  assert.equal(seen[1]?.headers.authorization, 'Bearer given');
  for (const token of ['', 'se cret', 'sécret', 'se\u0001cret']) {
    const { code, err } = await serin(['services', '--token', token, '--url', url]);
    assert.equal(code, 64);
    assert.ok(token === '' || !err.includes(token));
  }
  assert.equal(seen.length, 2);
});
