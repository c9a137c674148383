/** What strangers send is parsed and checked away from the thread that answers probes and rollbacks, or not at all. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isSmall } from '../../src/helper/read-body.ts';
import { COSTLY_YAML } from '../support/costly-bodies.ts';
import { problem, ROLLOUT, RULES, startApi } from '../support/admin-api.ts';

const EXPLAIN = '/v1/services/notes/explain';
const YAML = { 'content-type': 'application/yaml' };
const keys = (count: number): string =>
  Array.from({ length: count }, (_, index) => `k${index}: 1\n`).join('');

test('what takes the parser of YAML long is never read on the main thread, however short it is', () => {
  for (const [name, make] of Object.entries(COSTLY_YAML)) {
    for (const size of [64, 200, 900, 4000, 100_000]) {
      const bytes = Buffer.from(make(size));
      assert.ok(!isSmall({ bytes, format: 'yaml' }), `${name} of ${size} bytes`);
    }
  }
  // Fields that are plain one by one, and too many or too long.
  for (const text of [keys(41), `reason: ${'a'.repeat(1024)}`, `${'# why\n'.repeat(200)}reason: it fails`])
    assert.ok(!isSmall({ bytes: Buffer.from(text), format: 'yaml' }), text.slice(0, 40));
  const large = Buffer.from(JSON.stringify({ reason: 'a'.repeat(8192) }));
  assert.ok(!isSmall({ bytes: large, format: 'json' }));
});

test('what people write in an action is read at once, in JSON and in YAML', () => {
  const texts = [
    '',
    'reason: too many errors\n',
    '# why\nreason: "it: fails"\nrequestId: ci-17.2\n',
    "reason: 'ü'\r\n",
    keys(39),
    `reason: ${'a'.repeat(1000)}`,
  ];
  for (const text of texts) assert.ok(isSmall({ bytes: Buffer.from(text), format: 'yaml' }), text);
  assert.ok(isSmall({ bytes: Buffer.from('{"reason":"it: fails"}'), format: 'json' }));
});

test('reads and a rollback are answered while a body of 16,000 keys is read, which is given up in words', async () => {
  const { call } = await startApi();
  await call('PUT', ROLLOUT, RULES);
  const order: string[] = [];
  const slow = call('POST', EXPLAIN, keys(16_000), YAML).then((reply) => {
    order.push('slow');
    return reply;
  });
  assert.equal((await call('GET', '/v1/services')).status, 200);
  order.push('read');
  const rollback = await call('POST', `${ROLLOUT}/rollback`, 'reason: too many errors\n', YAML);
  order.push('rollback');
  assert.equal(rollback.status, 202);
  const reply = await slow;
  problem(reply, 422, 'body_too_costly', '');
  assert.match(reply.body.errors[0]!.detail, /given up after 1 s/);
  assert.deepEqual(order, ['read', 'rollback', 'slow']);
  // The thread is replaced: the next body of that kind is read.
  const next = await call('POST', EXPLAIN, `# ${'x'.repeat(2000)}\npath: /a\n`, YAML);
  assert.equal(next.status, 200);
});

test('who may only look cannot hold up the bodies of those who write; a token may let few bodies wait', async () => {
  const { call } = await startApi();
  const order: string[] = [];
  const looks = Array.from({ length: 10 }, async () => {
    const { status } = await call('POST', EXPLAIN, keys(16_000), YAML);
    order.push(`look ${status}`);
  });
  const put = await call('PUT', ROLLOUT, {
    ...RULES,
    exclude: [{ name: 'x'.repeat(90), match: { path: { equals: `/${'x'.repeat(9000)}` } } }],
  });
  order.push('put');
  assert.equal(put.status, 202);
  await Promise.all(looks);
  assert.equal(order.filter((one) => one === 'look 429').length, 1);
  assert.ok(order.indexOf('put') < order.lastIndexOf('look 422'), order.join());
});

test('a rollback with a long body is read before the documents that wait to be read', async () => {
  const { call } = await startApi();
  await call('PUT', ROLLOUT, RULES);
  const order: string[] = [];
  const puts = Array.from({ length: 6 }, async () => {
    const { status } = await call('PUT', ROLLOUT, keys(2000), { ...YAML, 'if-match': '*' });
    order.push(`put ${status}`);
  });
  const body = `# ${'x'.repeat(2000)}\nreason: too many errors\n`;
  const rollback = await call('POST', `${ROLLOUT}/rollback`, body, YAML);
  order.push('rollback');
  assert.equal(rollback.status, 202);
  await Promise.all(puts);
  assert.equal(order.filter((one) => one === 'put 422').length, 6);
  assert.ok(order.indexOf('rollback') < 5, order.join());
});

test('60,000 wrong values are a bounded answer', async () => {
  const { call } = await startApi();
  const headers = Object.fromEntries(Array.from({ length: 5000 }, (_, index) => [`h${index}`, 1]));
  const reply = await call('POST', EXPLAIN, { headers });
  problem(reply, 422, 'request_invalid', '/headers/h0');
  assert.equal(reply.body.errors.length, 51);
});

test('an explanation shows little of a long value, and a request that no head could hold is refused', async () => {
  const { call } = await startApi();
  const rules = Array.from({ length: 1999 }, (_, index) => ({
    name: `rule ${index}`,
    match: { header: { 'x-a': { equals: `v${index}` }, 'x-b': { equals: 'b' } } },
    percentage: 50,
  }));
  await call('PUT', ROLLOUT, { rules: [...rules, { name: 'everyone', percentage: 10 }] });
  const reply = await call('POST', EXPLAIN, { headers: { 'x-a': 'a'.repeat(60_000) } });
  assert.equal(reply.status, 200);
  assert.ok(JSON.stringify(reply.body).length < 2_000_000);
  assert.equal((reply.body as unknown as { omitted: number }).omitted, 2000 - reply.body.rules.length);
  problem(
    await call('POST', EXPLAIN, { headers: { 'x-a': 'a'.repeat(70_000) } }),
    422,
    'request_invalid',
    '/headers',
  );
});

test('a document with more in it than the main thread can handle is refused', async () => {
  const { call } = await startApi();
  const cidr = Array.from(
    { length: 210_000 },
    (_, index) => `10.${index >> 16}.${(index >> 8) & 255}.${index & 255}/32`,
  );
  const reply = await call('PUT', ROLLOUT, { rules: [{ name: 'many', match: { cidr }, percentage: 1 }] });
  problem(reply, 422, 'rollout_invalid', '');
  assert.match(reply.body.errors[0]!.detail, /210007 values.*segments/);
});

test('a page of the history ends early where its differences are large, and the next goes on', async () => {
  const { call } = await startApi();
  for (let round = 0; round < 4; round++) {
    const cidr = Array.from({ length: 40_000 }, (_, index) => `10.${round}.${index >> 8}.${index & 255}/32`);
    const rules = [{ name: 'many', match: { cidr }, percentage: 1 }];
    const put = await call(
      'PUT',
      `${ROLLOUT}?allowDecrease=true`,
      { rules },
      round === 0 ? {} : { 'if-match': '*' },
    );
    assert.equal(put.status, 202);
  }
  const seen: number[] = [];
  let pages = 0;
  for (let path = '/v1/services/notes/history?limit=100'; path !== ''; pages++) {
    const { body } = await call('GET', path);
    seen.push(...body.history.map(({ revision }) => revision));
    path = body.next === null ? '' : `/v1/services/notes/history?limit=100&before=${body.next}`;
  }
  assert.deepEqual(seen, [4, 3, 2, 1]);
  assert.ok(pages >= 2, `${pages} pages`);
});
