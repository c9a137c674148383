/** The admin API over real HTTP, in front of a control plane whose store and fleet are held by the test. */
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { request as httpRequest } from 'node:http';
import { after, test } from 'node:test';
import { startAdmin } from '../../src/admin/server.ts';
import type { Configuration } from '../../src/config/schema.ts';
import { startControlPlane, type ControlPlane } from '../../src/control/control-plane.ts';
import { ControlCounters } from '../../src/telemetry/control-counters.ts';
import { createLog } from '../../src/telemetry/log.ts';
import { fakeFleet, memoryStore, type FakeFleet, type MemoryStore } from '../support/memory-store.ts';

const OPERATOR = 'operator-token-0123456789';
const VIEWER = 'viewer-token-0123456789';
const LIMITED = 'limited-token-0123456789';

const CONFIGURATION: Configuration = {
  trustedProxies: ['10.3.0.0/24'],
  segments: { office: ['203.0.113.0/24'] },
  services: {
    notes: {
      hosts: ['notes.example.com'],
      stable: { endpoints: ['127.0.0.1:7001'] },
      canary: { endpoints: ['127.0.0.1:7002'] },
    },
  },
};

const RULES = { rules: [{ name: 'everyone', percentage: 10 }] };

interface Reply {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: any;
}

interface Api {
  readonly plane: ControlPlane;
  readonly store: MemoryStore;
  readonly fleet: FakeFleet;
  readonly counters: ControlCounters;
  readonly port: number;
  call(method: string, path: string, body?: unknown, headers?: Record<string, string>): Promise<Reply>;
}

const closing: (() => Promise<void>)[] = [];
after(async () => {
  for (const close of closing) await close();
});

async function startApi(
  configuration: Configuration = CONFIGURATION,
  store: MemoryStore = memoryStore(),
): Promise<Api> {
  const fleet = fakeFleet();
  const counters = new ControlCounters();
  const log = createLog({ level: 'silent' });
  const plane = await startControlPlane({
    configuration,
    keys: [{ id: 'k1', secret: new Uint8Array(32).fill(1) }],
    store,
    fleet,
    counters,
    replica: 'here',
    clock: Date.now,
    random: randomBytes,
    log,
  });
  const admin = await startAdmin({
    controlPlane: plane,
    listen: { host: '127.0.0.1', port: 0 },
    settings: () => configuration.admin,
    log,
  });
  closing.push(async () => {
    await admin.close();
    await plane.close();
  });
  const { port } = admin;
  const call: Api['call'] = (method, path, body, headers = {}) =>
    new Promise((resolve, reject) => {
      const text = body === undefined ? undefined : typeof body === 'string' ? body : JSON.stringify(body);
      const sent = httpRequest(
        {
          host: '127.0.0.1',
          port,
          method,
          path,
          agent: false,
          headers: { ...(text === undefined ? {} : { 'content-type': 'application/json' }), ...headers },
        },
        (answer) => {
          const chunks: Buffer[] = [];
          answer.on('data', (chunk: Buffer) => chunks.push(chunk));
          answer.on('end', () => {
            const all = Buffer.concat(chunks).toString();
            const json = all !== '' && /json/.test(String(answer.headers['content-type']));
            resolve({
              status: answer.statusCode ?? 0,
              headers: answer.headers,
              body: json ? JSON.parse(all) : all,
            });
          });
        },
      );
      sent.on('error', reject);
      sent.end(text);
    });
  return { plane, store, fleet, counters, port, call };
}

function problem(reply: Reply, status: number, code: string, pointer?: string): void {
  assert.equal(reply.status, status, JSON.stringify(reply.body));
  assert.equal(reply.headers['content-type'], 'application/problem+json');
  for (const field of ['type', 'title', 'status', 'detail', 'instance', 'code', 'errors']) {
    assert.ok(Object.hasOwn(reply.body, field), field);
  }
  assert.equal(reply.body.code, code);
  assert.equal(reply.body.status, status);
  if (pointer !== undefined) assert.equal(reply.body.errors[0].pointer, pointer);
}

const ROLLOUT = '/v1/services/notes/rollout';

test('a rollout from its start to its end', async () => {
  const { call, fleet } = await startApi();
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
  assert.equal(fleet.snapshots.at(-1)!.services[0]!.rollout!.document.rules[0]!.percentage, 50);
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
  assert.equal(history.body.history[0].kind, 'rollout.rollback');
  assert.deepEqual(history.body.history[0].diff, [
    { op: 'replace', pointer: '/phase', from: 'promoted', to: 'rolledBack' },
  ]);
  const older = await call('GET', `/v1/services/notes/history?before=${history.body.next}`);
  assert.equal(older.body.history.at(-1).revision, 1);

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
  assert.equal((await call('GET', ROLLOUT)).body.rules[0].percentage, 30);
});

test('of two writers with the same ETag one is refused, and the history shows one truth', async () => {
  const { call, store } = await startApi();
  await call('PUT', ROLLOUT, RULES);
  const write = (percentage: number): Promise<Reply> =>
    call('PUT', ROLLOUT, { rules: [{ name: 'everyone', percentage }] }, { 'if-match': '"1"' });
  const replies = await Promise.all([write(20), write(30)]);
  assert.deepEqual(replies.map(({ status }) => status).toSorted(), [202, 412]);
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
  const { call, fleet } = await startApi();
  fleet.automatic = false;
  const put = await call('PUT', ROLLOUT, RULES);
  assert.equal(put.body.status, 'APPLYING');
  const path = new URL(put.body.statusUrl).pathname;
  fleet.acknowledge(0);
  assert.equal((await call('GET', path)).body.progress, '0 of 1 replicas (1 of 2 workers)');
  assert.equal((await call('POST', `${path}/cancel`, {})).body.status, 'APPLYING', 'too late to cancel');
  fleet.acknowledge(1);
  assert.equal((await call('GET', path)).body.status, 'APPLIED');
  const raise = await call('POST', `${ROLLOUT}/percentage`, { percentage: 20 });
  await call('POST', `${ROLLOUT}/rollback`, {});
  assert.equal((await call('GET', new URL(raise.body.statusUrl).pathname)).body.status, 'ROLLED_BACK');
  problem(await call('GET', '/v1/changes/none'), 404, 'change_not_found');
});

test('with the store gone writes are refused, a rollback is not, and it is stored later', async () => {
  const { call, store, fleet, plane, counters } = await startApi();
  await call('PUT', ROLLOUT, RULES);
  store.failing = true;
  const refusedWrite = await call('POST', `${ROLLOUT}/percentage`, { percentage: 90 });
  problem(refusedWrite, 503, 'store_unavailable');
  assert.equal(fleet.snapshots.at(-1)!.services[0]!.rollout!.document.rules[0]!.percentage, 10);
  assert.equal(plane.storeAvailable(), false);
  assert.ok(counters.storeWriteErrors > 0);
  const rollback = await call('POST', `${ROLLOUT}/rollback`, {});
  assert.equal(rollback.status, 202);
  assert.equal(rollback.body.degraded, true);
  assert.equal(fleet.snapshots.at(-1)!.services[0]!.rollout!.phase, 'rolledBack');
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
  const { call, fleet, store } = await startApi();
  await call('PUT', ROLLOUT, RULES);
  const snapshots = fleet.snapshots.length;
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
  assert.equal(fleet.snapshots.length, snapshots);
  assert.equal(store.commits.length, 1);
});

test('services through the API', async () => {
  const { call, fleet } = await startApi();
  const shop = { hosts: ['shop.example.com'], stable: { endpoints: ['127.0.0.1:7003'] } };
  assert.equal((await call('PUT', '/v1/services/shop', shop)).status, 202);
  assert.equal(fleet.snapshots.at(-1)!.services.length, 2);
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

test('who may do what', async () => {
  const sha256 = (token: string): string => createHash('sha256').update(token).digest('hex');
  const { call, counters } = await startApi({
    ...CONFIGURATION,
    admin: {
      publicUrl: 'https://canary.example.com',
      tokens: [
        { name: 'pipeline', role: 'operator', sha256: sha256(OPERATOR) },
        { name: 'wall', role: 'viewer', sha256: sha256(VIEWER) },
        { name: 'shop-team', role: 'operator', services: ['shop'], sha256: sha256(LIMITED) },
      ],
    },
  });
  const as = (token: string): Record<string, string> => ({ authorization: `Bearer ${token}` });
  const nobody = await call('GET', '/v1/services');
  problem(nobody, 401, 'unauthorized');
  assert.match(String(nobody.headers['www-authenticate']), /^Bearer/);
  problem(await call('GET', '/v1/services', undefined, as('wrong-token-0123456789')), 401, 'unauthorized');
  problem(await call('GET', '/openapi.json'), 401, 'unauthorized');
  problem(await call('GET', '/v1/nothing'), 401, 'unauthorized');
  assert.equal(counters.loginFailures, 4);
  assert.equal((await call('GET', '/v1/services', undefined, as(VIEWER))).status, 200);
  problem(await call('PUT', ROLLOUT, RULES, as(VIEWER)), 403, 'forbidden');
  problem(await call('PUT', ROLLOUT, RULES, as(LIMITED)), 403, 'forbidden');
  problem(await call('PUT', '/v1/services/shop', {}, as(OPERATOR)), 403, 'forbidden');
  const put = await call('PUT', ROLLOUT, RULES, as(OPERATOR));
  assert.equal(put.status, 202);
  assert.equal(put.body.actor, 'pipeline');
  assert.match(put.body.statusUrl, /^https:\/\/canary\.example\.com\/v1\/changes\//);
  problem(
    await call('POST', `${new URL(put.body.statusUrl).pathname}/cancel`, {}, as(LIMITED)),
    403,
    'forbidden',
  );
  problem(
    await call('GET', '/v1/services', undefined, { ...as(VIEWER), host: 'evil.example' }),
    403,
    'host_not_allowed',
  );
  problem(
    await call('POST', `${ROLLOUT}/rollback`, {}, { ...as(OPERATOR), origin: 'https://evil.example' }),
    403,
    'origin_not_allowed',
  );
  const own = { ...as(VIEWER), host: 'canary.example.com', origin: 'https://canary.example.com' };
  assert.equal((await call('GET', '/v1/services', undefined, own)).status, 200);
});

test('an address that others reach needs tokens', async () => {
  await assert.rejects(
    startAdmin({
      controlPlane: (await startApi()).plane,
      listen: { host: '0.0.0.0', port: 0 },
      settings: () => undefined,
      log: createLog({ level: 'silent' }),
    }),
    /\/admin\/tokens/,
  );
});

test('whatever is wrong with a request is said as a problem', async () => {
  const { call } = await startApi();
  problem(await call('GET', '/v1/nothing'), 404, 'not_found');
  const method = await call('DELETE', ROLLOUT);
  problem(method, 405, 'method_not_allowed');
  assert.equal(method.headers['allow'], 'GET, PUT, PATCH');
  problem(await call('PUT', ROLLOUT, RULES, { 'content-type': 'text/plain' }), 415, 'unsupported_media_type');
  problem(
    await call('POST', `${ROLLOUT}/pause`, 'x=1', { 'content-type': 'application/x-www-form-urlencoded' }),
    415,
    'unsupported_media_type',
  );
  problem(await call('PUT', ROLLOUT, '{"rules":'), 400, 'malformed_body');
  problem(await call('PUT', ROLLOUT, 'x'.repeat(17 * 1024 * 1024)), 413, 'body_too_large');
});

test('the events tell of changes, from where a reader left off', async () => {
  const { call, port } = await startApi();
  await call('PUT', ROLLOUT, RULES);
  const events = await new Promise<string>((resolve, reject) => {
    const sent = httpRequest(
      { host: '127.0.0.1', port, path: '/v1/events', headers: { 'last-event-id': '0' } },
      (answer) => {
        let text = '';
        answer.on('data', (chunk: Buffer) => {
          text += chunk.toString();
          if (!text.includes('event: rollout')) return;
          assert.equal(answer.headers['content-type'], 'text/event-stream; charset=utf-8');
          sent.destroy();
          resolve(text);
        });
      },
    );
    sent.on('error', reject);
    sent.end();
  });
  assert.match(events, /id: 1\nevent: change\ndata: \{.*"status":"PENDING"/);
  assert.match(events, /"status":"APPLIED"/);
});

test('fleet, endpoints, and an OpenAPI document that names every route', async () => {
  const { call } = await startApi();
  const fleet = await call('GET', '/v1/fleet');
  assert.deepEqual(fleet.body.replicas[0].workers.length, 2);
  const endpoints = await call('GET', '/v1/endpoints');
  assert.deepEqual(
    endpoints.body.endpoints.map((one: { address: string }) => one.address),
    ['127.0.0.1:7001', '127.0.0.1:7002'],
  );
  const { body } = await call('GET', '/openapi.json');
  assert.equal(body.openapi, '3.1.0');
  const operations = Object.values<Record<string, { operationId: string; responses: object }>>(
    body.paths,
  ).flatMap((path) => Object.values(path));
  assert.equal(new Set(operations.map(({ operationId }) => operationId)).size, operations.length);
  assert.ok(operations.length >= 20);
  for (const path of [
    ROLLOUT.replace('notes', '{service}'),
    '/v1/changes/{id}',
    '/v1/services/{service}/explain',
  ]) {
    assert.ok(body.paths[path], path);
  }
  assert.equal(JSON.stringify(body).includes('$ref":"#/components/schemas/Problem'), true);
});

test('after a restart rollouts, changes and request ids are as they were', async () => {
  const before = await startApi();
  await before.call('PUT', ROLLOUT, RULES);
  const raise = await before.call('POST', `${ROLLOUT}/percentage`, { percentage: 20, requestId: 'r-1' });
  const after = await startApi(CONFIGURATION, memoryStore(before.store.commits));
  assert.equal((await after.call('GET', ROLLOUT)).body.rules[0].percentage, 20);
  assert.equal((await after.call('GET', new URL(raise.body.statusUrl).pathname)).body.status, 'APPLIED');
  const again = await after.call('POST', `${ROLLOUT}/percentage`, { percentage: 20, requestId: 'r-1' });
  assert.equal(again.body.id, raise.body.id);
  assert.equal(before.store.commits.length, 2);
});

test('a configuration that does not fit what runs is refused, and what ran goes on', async () => {
  const { call, plane, fleet } = await startApi();
  await call('PUT', ROLLOUT, { rules: [{ name: 'office', match: { segment: 'office' }, percentage: 100 }] });
  const snapshots = fleet.snapshots.length;
  await assert.rejects(plane.reload({ ...CONFIGURATION, segments: {} }), /office/);
  assert.equal(fleet.snapshots.length, snapshots);
  await plane.reload({ ...CONFIGURATION, segments: { office: ['198.51.100.0/24'] } });
  const moved = await call('POST', '/v1/services/notes/explain', { clientAddress: '198.51.100.9' });
  assert.equal(moved.body.decision.variant, 'canary');
});
