/** What is no proper request, and requests that are sent again: each gets one clear answer and changes nothing twice. */
import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { test } from 'node:test';
import { CONFIGURATION, problem, ROLLOUT, RULES, startApi } from '../support/admin-api.ts';

/** Sends bytes and gives all that comes back until the other side closes. */
function exchange(port: number, text: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1', () => socket.write(text));
    let received = '';
    socket.setEncoding('utf8').on('data', (chunk: string) => (received += chunk));
    socket.on('close', () => resolve(received));
    socket.on('error', reject);
  });
}

test('whatever cannot be read as a request is a problem too', async () => {
  const { call, port } = await startApi();
  problem(await call('GET', '/v1/%zz'), 400, 'bad_request');
  problem(await call('GET', `/v1/services/${'a'.repeat(400)}`), 414, 'uri_too_long');
  problem(
    await call('POST', `${ROLLOUT}/pause`, {}, { 'content-encoding': 'gzip' }),
    415,
    'unsupported_media_type',
  );
  const table: readonly (readonly [string, number, string])[] = [
    ['BOGUS\r\n\r\n', 400, 'bad_request'],
    [`GET /${'a'.repeat(20_000)} HTTP/1.1\r\nHost: localhost\r\n\r\n`, 431, 'head_too_large'],
    ['GET /v1/services HTTP/1.1\r\nConnection: close\r\n\r\n', 403, 'host_not_allowed'],
  ];
  for (const [bytes, status, code] of table) {
    const answer = await exchange(port, bytes);
    const [head = '', body = ''] = answer.split('\r\n\r\n');
    assert.match(head, new RegExp(`^HTTP/1\\.1 ${status} `));
    assert.match(head, /content-type: application\/problem\+json/);
    assert.equal((JSON.parse(body) as { code: string }).code, code);
  }
});

test('numbers that JSON cannot say, keys that are there twice, percentages that nobody can have', async () => {
  const { call, store, workers } = await startApi();
  await call('PUT', ROLLOUT, RULES);
  const table: readonly (readonly [string, number, string, string])[] = [
    ['{"percentage":1e999}', 422, 'request_invalid', '/percentage'],
    ['{"percentage":NaN}', 400, 'malformed_body', ''],
    ['{"percentage":20,"percentage":90}', 400, 'malformed_body', '/percentage'],
    ['{"percentage":20,"\\u0070ercentage":90}', 400, 'malformed_body', '/percentage'],
    ['{"percentage":101}', 422, 'request_invalid', '/percentage'],
    ['{"percentage":-0.1}', 422, 'request_invalid', '/percentage'],
    ['{"percentage":12.34567}', 422, 'request_invalid', '/percentage'],
    ['{"percentage":"20"}', 422, 'request_invalid', '/percentage'],
    ['{"percentge":20}', 422, 'request_invalid', '/percentge'],
    ['{"percentage":20,"rule":"evryone"}', 422, 'unknown_rule', '/rule'],
    ['{"percentage":20', 400, 'malformed_body', ''],
    ['[]', 422, 'request_invalid', ''],
    ['', 422, 'request_invalid', ''],
  ];
  for (const [body, status, code, pointer] of table) {
    problem(await call('POST', `${ROLLOUT}/percentage`, body), status, code, pointer);
  }
  assert.equal(store.commits.length, 1);
  assert.equal(workers.snapshots.at(-1)!.services[0]!.rollout!.document.rules[0]!.percentage, 10);
});

test('a step that is sent again is the step that was taken, also the last one', async () => {
  const { call, store } = await startApi();
  await call('PUT', ROLLOUT, { ...RULES, steps: [{ percentage: 20 }, { percentage: 50 }] });
  const first = await call('POST', `${ROLLOUT}/step`, { from: 10 });
  assert.deepEqual(first.body.percentage, { rule: 'everyone', from: 10, to: 20 });
  const again = await call('POST', `${ROLLOUT}/step`, { from: 10 });
  assert.deepEqual([again.status, again.body.id], [202, first.body.id]);
  const last = await call('POST', `${ROLLOUT}/step`, { from: 20 });
  assert.equal((await call('POST', `${ROLLOUT}/step`, { from: 20 })).body.id, last.body.id);
  // Nobody can have seen this: it is no retry.
  problem(await call('POST', `${ROLLOUT}/step`, { from: 10 }), 409, 'no_next_step');
  assert.equal(store.commits.length, 3);

  await call('POST', `${ROLLOUT}/percentage`, { percentage: 10, allowDecrease: true });
  problem(await call('POST', `${ROLLOUT}/step`, { from: 20 }), 409, 'step_moved');
});

test('a request id stands for all that is asked, and answers the same also where there was nothing to do', async () => {
  const { call, store } = await startApi();
  await call('PUT', ROLLOUT, RULES);
  const lower = { rules: [{ name: 'everyone', percentage: 5 }] };
  const path = `${ROLLOUT}?requestId=a`;
  problem(await call('PUT', path, lower, { 'if-match': '*' }), 409, 'decrease_not_allowed');
  // Refused is as if it was never asked, so the id is free; accepted, it is taken.
  assert.equal((await call('PUT', `${path}&allowDecrease=true`, lower, { 'if-match': '*' })).status, 202);
  problem(await call('PUT', path, lower, { 'if-match': '*' }), 409, 'request_id_reused');

  const resume = { requestId: 'b' };
  const idle = await call('POST', `${ROLLOUT}/resume`, resume);
  assert.deepEqual([idle.status, idle.body.status, idle.body.revision], [202, 'APPLIED', 2]);
  assert.equal((await call('POST', `${ROLLOUT}/resume`, resume)).body.id, idle.body.id);
  problem(await call('POST', `${ROLLOUT}/pause`, resume), 409, 'request_id_reused');
  assert.equal((await call('GET', new URL(idle.body.statusUrl).pathname)).body.status, 'APPLIED');
  assert.equal(store.commits.length, 2);
});

test('the identity chain of a service whose rollout runs stays as it is', async () => {
  const { call, store } = await startApi({ ...CONFIGURATION, services: {} });
  const shop = { hosts: ['shop.example.com'], stable: { endpoints: ['10.0.0.1:80'] } };
  await call('PUT', '/v1/services/shop', shop);
  await call('PUT', '/v1/services/shop/rollout', RULES);
  const other = { ...shop, identity: [{ header: 'x-user-id' }, { fingerprint: true }] };
  problem(await call('PUT', '/v1/services/shop', other, { 'if-match': '*' }), 409, 'rollout_active');
  const moved = { ...shop, stable: { endpoints: ['10.0.0.2:80'] } };
  assert.equal((await call('PUT', '/v1/services/shop', moved, { 'if-match': '*' })).status, 202);
  await call('POST', '/v1/services/shop/rollout/rollback', {});
  assert.equal((await call('PUT', '/v1/services/shop', other, { 'if-match': '*' })).status, 202);
  assert.equal(store.commits.length, 5);
});

test('HEAD ends, also where GET would not', async () => {
  const { call } = await startApi();
  for (const path of ['/v1/events', '/v1/services', '/openapi.json'])
    assert.equal((await call('HEAD', path)).status, 200);
});
