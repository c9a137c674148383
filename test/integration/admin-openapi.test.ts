/** The OpenAPI document: whole in itself, complete, and true to what is really answered. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { FLEET_ROUTES } from '../../src/admin/fleet-routes.ts';
import { openApiDocument } from '../../src/admin/openapi.ts';
import { ROLLOUT_ROUTES } from '../../src/admin/rollout-routes.ts';
import { SERVICE_ROUTES } from '../../src/admin/service-routes.ts';
import { problem, type Reply, ROLLOUT, RULES, startApi } from '../support/admin-api.ts';

interface Media {
  readonly schema: { readonly $ref?: string };
}
interface Operation {
  readonly operationId: string;
  readonly parameters?: readonly { readonly name: string; readonly in: string; readonly schema: object }[];
  readonly requestBody?: { readonly content: Record<string, Media> };
  readonly responses: Record<string, { readonly content: Record<string, Media> }>;
}
interface Document {
  readonly openapi: string;
  readonly paths: Record<string, Record<string, Operation>>;
  readonly components: { readonly schemas: Record<string, object> };
}

const ROUTES = [...SERVICE_ROUTES, ...ROLLOUT_ROUTES, ...FLEET_ROUTES];
const DOCUMENT = openApiDocument(ROUTES, 'http://localhost:9090') as Document;
const OPERATIONS = Object.entries(DOCUMENT.paths).flatMap(([path, operations]) =>
  Object.entries(operations).map(([method, operation]) => ({ path, method, operation })),
);
const ajv = new Ajv2020({ strict: true, allowUnionTypes: true, keywords: ['components'] });
ajv.addSchema({ $id: 'openapi', components: DOCUMENT.components });

/** The schema of an answer, compiled; references resolve into the document. */
function answerSchema(path: string, method: string, status: number) {
  const responses = DOCUMENT.paths[path]?.[method]?.responses;
  const response = responses?.[status] ?? responses?.['default'];
  const [media] = Object.values(response?.content ?? {});
  assert.ok(media, `${method} ${path} does not say what ${status} answers`);
  return ajv.compile({ ...media.schema, ...(media.schema.$ref && { $ref: `openapi${media.schema.$ref}` }) });
}

test('every reference resolves and every schema is one', () => {
  const text = JSON.stringify(DOCUMENT);
  for (const [, name] of text.matchAll(/"\$ref":"#\/components\/schemas\/([^"]+)"/g)) {
    assert.ok(DOCUMENT.components.schemas[name ?? ''], name);
  }
  for (const name of Object.keys(DOCUMENT.components.schemas)) {
    ajv.compile({ $ref: `openapi#/components/schemas/${name}` });
    assert.ok(text.includes(`#/components/schemas/${name}"`), `nothing refers to ${name}`);
  }
  for (const { operation } of OPERATIONS) {
    for (const { schema } of operation.parameters ?? []) ajv.compile(schema);
    for (const { schema } of Object.values(operation.requestBody?.content ?? {})) ajv.compile(schema);
  }
});

test('every route is there, with its parameters, and no name is taken twice', () => {
  assert.equal(new Set(OPERATIONS.map(({ operation }) => operation.operationId)).size, OPERATIONS.length);
  assert.equal(OPERATIONS.length, ROUTES.length + 2);
  for (const { method, path } of ROUTES) {
    const operation = DOCUMENT.paths[path]?.[method.toLowerCase()];
    assert.ok(operation, `${method} ${path}`);
    const declared = (operation.parameters ?? []).filter((one) => one.in === 'path').map(({ name }) => name);
    assert.deepEqual(
      declared,
      [...path.matchAll(/\{([a-z]+)\}/g)].map(([, name]) => name),
    );
  }
});

test('what this version does not have is neither there nor announced', async () => {
  const { call } = await startApi();
  for (const path of ['verdict', 'simulate']) {
    assert.ok(!JSON.stringify(DOCUMENT).includes(path));
    problem(await call('GET', `/v1/services/notes/${path}`), 404, 'not_found');
  }
});

test('what is answered is what the document says', async () => {
  const { call } = await startApi();
  const templates = Object.keys(DOCUMENT.paths);
  const seen = new Set<string>();
  async function ask(
    method: string,
    url: string,
    body?: unknown,
    headers?: Record<string, string>,
  ): Promise<Reply> {
    const reply = await call(method, url, body, headers);
    const given = url.split('?')[0]!.split('/');
    const path = templates.find((template) => {
      const parts = template.split('/');
      return (
        parts.length === given.length && parts.every((part, at) => part.startsWith('{') || part === given[at])
      );
    });
    assert.ok(path, url);
    const validate = answerSchema(path, method.toLowerCase(), reply.status);
    assert.ok(
      validate(reply.body),
      `${method} ${url} → ${reply.status}: ${ajv.errorsText(validate.errors)} ${JSON.stringify(reply.body)}`,
    );
    seen.add(`${method} ${path}`);
    return reply;
  }
  const shop = { hosts: ['shop.example.com'], stable: { endpoints: ['10.0.0.1:80'] } };
  await ask('PUT', '/v1/services/shop?dryRun=true', shop);
  await ask('PUT', '/v1/services/shop', shop);
  await ask('PUT', '/v1/services/shop', { hosts: [] });
  await ask('DELETE', '/v1/services/shop');
  await ask('GET', '/v1/services/shop');
  const document = {
    ...RULES,
    exclude: [{ name: 'vip', match: { header: { 'x-tier': { equals: 'vip' } } } }],
    steps: [{ percentage: 20 }],
  };
  await ask('GET', ROLLOUT);
  await ask('PUT', `${ROLLOUT}?dryRun=true`, document);
  await ask('PUT', ROLLOUT, document);
  await ask('PUT', ROLLOUT, { rules: [] }, { 'if-match': '*' });
  await ask('PATCH', ROLLOUT, { exclude: null }, { 'if-match': '*' });
  await ask(
    'PATCH',
    `${ROLLOUT}?dryRun=true`,
    { rules: [{ name: 'x', percentage: 1 }] },
    { 'if-match': '*' },
  );
  await ask('GET', ROLLOUT);
  await ask('GET', '/v1/services');
  await ask('GET', '/v1/services/notes');
  await ask('POST', '/v1/services/notes/explain', {
    headers: { cookie: 'serin_id=forged' },
    clientAddress: '10.0.0.1',
  });
  await ask('POST', `${ROLLOUT}/step`, { from: 10 });
  const lowered = await ask('POST', `${ROLLOUT}/percentage`, { percentage: 5, allowDecrease: true });
  assert.equal(lowered.body.decreaseCount, 1);
  for (const action of ['pause', 'resume', 'promote', 'promote', 'finish', 'rollback']) {
    await ask('POST', `${ROLLOUT}/${action}`, {});
  }
  const change = new URL(lowered.body.statusUrl).pathname;
  await ask('GET', change);
  await ask('POST', `${change}/cancel`, {});
  await ask('GET', '/v1/services/notes/history?limit=3');
  await ask('POST', '/v1/services/notes/history/1/restore', {});
  await ask('GET', '/v1/fleet');
  await ask('GET', '/v1/endpoints');
  await ask('GET', '/v1/services/notes/comparison?window=1m');
  await ask('GET', '/v1/services/notes/comparison?window=soon');
  const all = ROUTES.map(({ method, path }) => `${method} ${path}`);
  assert.deepEqual(
    all.filter((route) => !seen.has(route)),
    [],
  );
});

test('a delete has no dry run, and actions take their request id in the body: neither is ignored elsewhere', async () => {
  const { call } = await startApi();
  const shop = { hosts: ['shop.example.com'], stable: { endpoints: ['10.0.0.1:80'] } };
  await call('PUT', '/v1/services/shop', shop);
  problem(await call('DELETE', '/v1/services/shop?dryRun=true'), 422, 'request_invalid', '/query/dryRun');
  assert.equal((await call('GET', '/v1/services/shop')).status, 200);
  problem(
    await call('POST', `${ROLLOUT}/rollback?requestId=a`, {}),
    422,
    'request_invalid',
    '/query/requestId',
  );
});
