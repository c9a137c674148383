/** Rollouts, services and changes through the admin API. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CONFIGURATION, problem, type Reply, ROLLOUT, RULES, startApi } from '../support/admin-api.ts';
import { memoryStore } from '../support/memory-store.ts';

test('a rollout from its start to its end', async () => {
  const { call, workers } = await startApi();
  problem(await call('GET', ROLLOUT), 404, 'rollout_not_found');
  const put = await call('PUT', ROLLOUT, RULES);
  assert.equal(put.status, 202);
  assert.equal(put.headers['location'], put.body.statusUrl);
  assert.match(put.body.statusUrl, /^http:\/\/127\.0\.0\.1:\d+\/v1\/changes\//);
  assert.equal(put.body.status, 'APPLIED');
  assert.equal(put.body.progress, '1 of 1 replicas');

  const got = await call('GET', ROLLOUT);
  assert.equal(got.headers['etag'], '"1"');
  assert.deepEqual(got.body.rules, RULES.rules);
  assert.equal(got.body.status.phase, 'running');

  assert.equal((await call('POST', `${ROLLOUT}/percentage`, { percentage: 50 })).body.percentage.to, 50);
  assert.equal(workers.snapshots.at(-1)!.services[0]!.rollout!.document.rules[0]!.percentage, 50);
  for (const [action, phase] of [
    ['pause', 'paused'],
    ['resume', 'running'],
    ['promote', 'promoted'],
  ]) {
    const done = await call('POST', `${ROLLOUT}/${action}`, {});
    assert.equal(done.status, 202);
    assert.equal((await call('GET', ROLLOUT)).body.status.phase, phase);
    // Safe to repeat: the same state, and no new revision.
    const again = await call('POST', `${ROLLOUT}/${action}`);
    assert.equal(again.status, 202);
    assert.equal(again.body.revision, done.body.revision);
    assert.equal((await call('GET', new URL(again.body.statusUrl).pathname)).body.status, 'APPLIED');
  }
  problem(await call('POST', `${ROLLOUT}/finish`, {}), 409, 'stable_not_ready');
  problem(await call('PUT', ROLLOUT, RULES, { 'if-match': '*' }), 409, 'wrong_phase');
  assert.equal((await call('POST', `${ROLLOUT}/rollback`, {})).status, 202);
  assert.equal((await call('GET', ROLLOUT)).body.status.phase, 'rolledBack');

  const history = await call('GET', '/v1/services/notes/history?limit=2');
  assert.equal(history.body.history.length, 2);
  assert.equal(history.body.history[0]?.kind, 'rollout.rollback');
  assert.deepEqual(history.body.history[0]?.diff, [
    { op: 'replace', pointer: '/phase', from: 'promoted', to: 'rolledBack' },
  ]);
  const older = await call('GET', `/v1/services/notes/history?before=${history.body.next}`);
  assert.equal(older.body.history.at(-1)?.revision, 1);

  const restored = await call('POST', '/v1/services/notes/history/1/restore', {});
  assert.equal(restored.status, 202);
  const now = await call('GET', ROLLOUT);
  assert.deepEqual([now.body.status.phase, now.body.status.epoch], ['running', 2]);
  problem(await call('POST', '/v1/services/notes/history/99/restore', {}), 404, 'revision_not_found');
  problem(await call('POST', '/v1/services/notes/history/x/restore', {}), 404, 'revision_not_found');
});

test('documents: ETag and If-Match, merge patch, dry run, read back and put as it is', async () => {
  const { call, store } = await startApi();
  const first = await call('PUT', `${ROLLOUT}?dryRun=true`, RULES);
  assert.equal(first.status, 200);
  assert.equal(store.commits.length, 0);
  await call('PUT', ROLLOUT, RULES);
  problem(await call('PUT', ROLLOUT, RULES), 428, 'precondition_required');
  problem(await call('PATCH', ROLLOUT, { steps: [] }), 428, 'precondition_required');
  problem(await call('PUT', ROLLOUT, RULES, { 'if-match': '"7"' }), 412, 'precondition_failed');
  problem(await call('PUT', ROLLOUT, RULES, { 'if-match': 'W/"1"' }), 412, 'precondition_failed');
  problem(await call('PUT', ROLLOUT, RULES, { 'if-none-match': '*' }), 412, 'precondition_failed');

  const read = await call('GET', ROLLOUT);
  const same = await call('PUT', ROLLOUT, read.body, { 'if-match': String(read.headers['etag']) });
  assert.equal(same.status, 202);
  assert.equal(store.commits.length, 1, 'nothing to write');

  const patched = await call(
    'PATCH',
    ROLLOUT,
    { steps: [{ percentage: 20 }] },
    {
      'if-match': '"1"',
      'content-type': 'application/merge-patch+json',
    },
  );
  assert.equal(patched.status, 202);
  assert.deepEqual((await call('GET', ROLLOUT)).body.steps, [{ percentage: 20 }]);

  const lower = { rules: [{ name: 'everyone', percentage: 5 }] };
  const dry = await call('PUT', `${ROLLOUT}?dryRun=true`, lower, { 'if-match': '"2"' });
  assert.equal(dry.body.refusal.code, 'decrease_not_allowed');
  problem(await call('PUT', ROLLOUT, lower, { 'if-match': '"2"' }), 409, 'decrease_not_allowed');
  const allowed = await call('PUT', `${ROLLOUT}?allowDecrease=true`, lower, { 'if-match': '"2"' });
  assert.equal(allowed.body.decreaseCount, 1);

  const yaml = 'rules:\n  - { name: everyone, percentage: 30 }\n';
  assert.equal(
    (await call('PUT', ROLLOUT, yaml, { 'if-match': '*', 'content-type': 'application/yaml' })).status,
    202,
  );
  assert.equal((await call('GET', ROLLOUT)).body.rules[0]?.percentage, 30);
});

test('of two writers with the same ETag one is refused, and the history shows one truth', async () => {
  const { call, store } = await startApi();
  await call('PUT', ROLLOUT, RULES);
  const write = (percentage: number): Promise<Reply> =>
    call('PUT', ROLLOUT, { rules: [{ name: 'everyone', percentage }] }, { 'if-match': '"1"' });
  const replies = await Promise.all([write(20), write(30)]);
  assert.deepEqual(
    replies.map(({ status }) => status).toSorted((a, b) => a - b),
    [202, 412],
  );
  assert.equal(store.commits.length, 2);
});

test('a request id makes one change, also at the same time; for another request it is refused', async () => {
  const { call, store } = await startApi();
  await call('PUT', ROLLOUT, RULES);
  const body = { percentage: 20, requestId: 'pipeline-7' };
  const replies = await Promise.all([1, 2, 3].map(() => call('POST', `${ROLLOUT}/percentage`, body)));
  assert.equal(new Set(replies.map((reply) => reply.body.id)).size, 1);
  assert.equal(store.commits.length, 2);
  problem(await call('POST', `${ROLLOUT}/percentage`, { ...body, percentage: 30 }), 409, 'request_id_reused');
  problem(await call('POST', `${ROLLOUT}/step`, {}), 422, 'request_invalid', '');
});

test('APPLIED only when every worker has applied it; later writes supersede', async () => {
  const { call, workers } = await startApi();
  workers.automatic = false;
  const put = await call('PUT', ROLLOUT, RULES);
  assert.equal(put.body.status, 'APPLYING');
  const path = new URL(put.body.statusUrl).pathname;
  workers.acknowledge(0);
  assert.equal((await call('GET', path)).body.progress, '0 of 1 replicas (1 of 2 workers)');
  assert.equal((await call('POST', `${path}/cancel`, {})).body.status, 'APPLYING', 'too late to cancel');
  workers.acknowledge(1);
  assert.equal((await call('GET', path)).body.status, 'APPLIED');
  const raise = await call('POST', `${ROLLOUT}/percentage`, { percentage: 20 });
  await call('POST', `${ROLLOUT}/rollback`, {});
  assert.equal((await call('GET', new URL(raise.body.statusUrl).pathname)).body.status, 'ROLLED_BACK');
  problem(await call('GET', '/v1/changes/none'), 404, 'change_not_found');
});

test('with the store gone writes are refused, a rollback is not, and it is stored later', async () => {
  const { call, store, workers, plane, counters } = await startApi();
  await call('PUT', ROLLOUT, RULES);
  store.failing = true;
  const refusedWrite = await call('POST', `${ROLLOUT}/percentage`, { percentage: 90 });
  problem(refusedWrite, 503, 'store_unavailable');
  assert.equal(workers.snapshots.at(-1)!.services[0]!.rollout!.document.rules[0]!.percentage, 10);
  assert.equal(plane.storeAvailable(), false);
  assert.ok(counters.storeWriteErrors > 0);
  const rollback = await call('POST', `${ROLLOUT}/rollback`, {});
  assert.equal(rollback.status, 202);
  assert.equal(rollback.body.degraded, true);
  assert.equal(workers.snapshots.at(-1)!.services[0]!.rollout!.phase, 'rolledBack');
  store.failing = false;
  // The next write settles what is owed first.
  assert.equal((await call('PUT', ROLLOUT, RULES, { 'if-match': '*' })).status, 202);
  assert.deepEqual(
    store.commits.map(({ kind }) => kind),
    ['rollout.put', 'rollout.rollback', 'rollout.put'],
  );
  assert.equal((await call('GET', new URL(rollback.body.statusUrl).pathname)).body.degraded, false);
});

test('bad documents are refused with pointers, and the policy that runs is not touched', async () => {
  const { call, workers, store } = await startApi();
  await call('PUT', ROLLOUT, RULES);
  const snapshots = workers.snapshots.length;
  const put = (body: unknown): Promise<Reply> => call('PUT', ROLLOUT, body, { 'if-match': '*' });
  const rule = (fields: object): object => ({ rules: [{ name: 'a', percentage: 1, ...fields }] });
  problem(await put({ rules: [{ name: 'a', percentge: 1 }] }), 422, 'rollout_invalid');
  problem(await put(rule({ percentage: 101 })), 422, 'rollout_invalid', '/rules/0/percentage');
  problem(await put(rule({ percentage: -1 })), 422, 'rollout_invalid', '/rules/0/percentage');
  problem(
    await put('{"rules":[{"name":"a","percentage":1e999}]}'),
    422,
    'rollout_invalid',
    '/rules/0/percentage',
  );
  problem(await put('{"rules":[{"name":"a","percentage":NaN}]}'), 400, 'malformed_body');
  problem(await put('{"rules":[],"rules":[]}'), 400, 'malformed_body', '/rules');
  problem(await put({ rules: [{ percentage: 1 }] }), 422, 'rollout_invalid');
  problem(
    await put({
      rules: [
        { name: 'a', percentage: 1 },
        { name: 'a', percentage: 2 },
      ],
    }),
    422,
    'rollout_invalid',
  );
  problem(await put(rule({ match: { cidr: ['10.0.0.0/33'] } })), 422, 'rollout_invalid');
  problem(await put(rule({ match: { segment: 'ofice' } })), 422, 'rollout_invalid');
  problem(await put(rule({ match: { region: { country: 'CN' } } })), 422, 'rollout_invalid');
  problem(await put([]), 422, 'rollout_invalid', '');
  problem(
    await call('POST', `${ROLLOUT}/percentage`, { percentage: 'half' }),
    422,
    'request_invalid',
    '/percentage',
  );
  problem(
    await call('POST', `${ROLLOUT}/percentage`, { percentage: 20, rule: 'evryone' }),
    422,
    'unknown_rule',
    '/rule',
  );
  problem(await call('GET', '/v1/services/notes/history?limit=1000'), 422, 'request_invalid', '/query/limit');
  const misspelt = await put({ rules: [{ name: 'a', percentge: 1 }] });
  assert.match(JSON.stringify(misspelt.body.errors), /did you mean \\"percentage\\"/);
  assert.equal(workers.snapshots.length, snapshots);
  assert.equal(store.commits.length, 1);
});

test('services through the API', async () => {
  const { call, workers } = await startApi();
  const shop = { hosts: ['shop.example.com'], stable: { endpoints: ['127.0.0.1:7003'] } };
  assert.equal((await call('PUT', '/v1/services/shop', shop)).status, 202);
  assert.equal(workers.snapshots.at(-1)!.services.length, 2);
  const got = await call('GET', '/v1/services/shop');
  assert.equal(got.body.status.source, 'api');
  problem(await call('PUT', '/v1/services/shop', shop), 428, 'precondition_required');
  problem(await call('PUT', '/v1/services/notes', shop, { 'if-match': '*' }), 409, 'service_read_only');
  problem(await call('DELETE', '/v1/services/notes'), 409, 'service_read_only');
  problem(
    await call('PUT', '/v1/services/other', { hosts: ['shop.example.com'], stable: shop.stable }),
    422,
    'service_invalid',
    '/hosts/0',
  );
  problem(await call('PUT', '/v1/services/other', { hosts: ['a.example.com'] }), 422, 'service_invalid');
  problem(
    await call('PUT', '/v1/services/other', {
      hosts: ['a.example.com'],
      stable: { endpoints: ['169.254.169.254:80'] },
    }),
    422,
    'service_invalid',
    '/stable/endpoints/0',
  );
  problem(await call('PUT', '/v1/services/Bad_Name', shop), 422, 'service_invalid');
  await call('PUT', '/v1/services/shop/rollout', RULES);
  problem(await call('DELETE', '/v1/services/shop'), 409, 'rollout_active');
  await call('POST', '/v1/services/shop/rollout/rollback');
  assert.equal((await call('DELETE', '/v1/services/shop')).status, 202);
  problem(await call('GET', '/v1/services/shop'), 404, 'service_not_found');
  problem(await call('PUT', '/v1/services/none/rollout', RULES), 404, 'service_not_found');
});

test('explain decides as the workers do, now and at an earlier revision', async () => {
  const { call } = await startApi();
  await call('PUT', ROLLOUT, { rules: [{ name: 'office', match: { segment: 'office' }, percentage: 100 }] });
  await call(
    'PUT',
    ROLLOUT,
    { rules: [...RULES.rules, { name: 'office', match: { segment: 'office' }, percentage: 100 }] },
    { 'if-match': '*' },
  );
  const office = await call('POST', '/v1/services/notes/explain', { clientAddress: '203.0.113.9' });
  assert.equal(office.status, 200);
  assert.equal(office.body.decision.variant, 'canary');
  assert.equal(office.body.decision.rule, 'office');
  const before = await call('POST', '/v1/services/notes/explain', {
    clientAddress: '198.51.100.1',
    revision: 1,
  });
  assert.equal(before.body.decision.variant, 'stable');
  problem(
    await call('POST', '/v1/services/notes/explain', { clientAddress: 'nowhere' }),
    422,
    'request_invalid',
    '/clientAddress',
  );
  problem(await call('POST', '/v1/services/notes/explain', { revision: 77 }), 404, 'revision_not_found');
});

test('after a restart rollouts, changes and request ids are as they were', async () => {
  const before = await startApi();
  await before.call('PUT', ROLLOUT, RULES);
  const raise = await before.call('POST', `${ROLLOUT}/percentage`, { percentage: 20, requestId: 'r-1' });
  const after = await startApi(CONFIGURATION, memoryStore(before.store.commits));
  assert.equal((await after.call('GET', ROLLOUT)).body.rules[0]?.percentage, 20);
  assert.equal((await after.call('GET', new URL(raise.body.statusUrl).pathname)).body.status, 'APPLIED');
  const again = await after.call('POST', `${ROLLOUT}/percentage`, { percentage: 20, requestId: 'r-1' });
  assert.equal(again.body.id, raise.body.id);
  assert.equal(before.store.commits.length, 2);
});

test('a configuration that does not fit what runs is refused, and what ran goes on', async () => {
  const { call, plane, workers } = await startApi();
  await call('PUT', ROLLOUT, { rules: [{ name: 'office', match: { segment: 'office' }, percentage: 100 }] });
  const snapshots = workers.snapshots.length;
  await assert.rejects(plane.reload({ ...CONFIGURATION, segments: {} }), /office/);
  assert.equal(workers.snapshots.length, snapshots);
  await plane.reload({ ...CONFIGURATION, segments: { office: ['198.51.100.0/24'] } });
  const moved = await call('POST', '/v1/services/notes/explain', { clientAddress: '198.51.100.9' });
  assert.equal(moved.body.decision.variant, 'canary');
});
