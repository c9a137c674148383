/** Who may use the admin API, what it says to whoever may not, and what it tells of itself. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { request as httpRequest } from 'node:http';
import { test } from 'node:test';
import { startAdmin } from '../../src/admin/server.ts';
import { createLog } from '../../src/telemetry/log.ts';
import { CONFIGURATION, problem, ROLLOUT, RULES, startApi } from '../support/admin-api.ts';

const OPERATOR = 'operator-token-0123456789';
const VIEWER = 'viewer-token-0123456789';
const LIMITED = 'limited-token-0123456789';

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
  assert.deepEqual(fleet.body.replicas[0]?.workers.length, 2);
  const endpoints = await call('GET', '/v1/endpoints');
  assert.deepEqual(
    endpoints.body.endpoints.map((one: { address: string }) => one.address),
    ['127.0.0.1:7001', '127.0.0.1:7002'],
  );
  const { body } = await call('GET', '/openapi.json');
  assert.equal(body.openapi, '3.1.0');
  const operations = Object.values(body.paths).flatMap((path) => Object.values(path));
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
