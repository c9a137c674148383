/** Paths that servers read in different ways, at a running proxy: the wrong service never gets them, and rules are not walked around. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startPair } from '../support/pair.ts';
import { ask, request } from '../support/raw-client.ts';
import { putRollout } from '../support/rollout.ts';

const pair = startPair({
  services: (origin, canary) => {
    const endpoints = { stable: { endpoints: [origin.endpoint] }, canary: { endpoints: [canary.endpoint] } };
    return {
      site: { hosts: ['site.test'], ...endpoints },
      admin: { hosts: ['site.test'], pathPrefix: '/admin', ...endpoints },
      ruled: { hosts: ['ruled.test'], ...endpoints },
    };
  },
});

const status = async (host: string, target: string): Promise<string> => {
  const { status: number, body } = await ask(pair.port, request(target, { host }));
  return number === 200 ? '200' : `${number} ${(JSON.parse(body.toString()) as { code: string }).code}`;
};

const REFUSED = '400 ambiguous_path';

test('a path that is of another service in some reading is refused, and no other', async () => {
  for (const path of ['/x/..%2fadmin', '/x\\..\\admin', '/x/..;/admin', '/admin%2fx', '//admin', '/admin%00'])
    assert.equal(await status('site.test', path), REFUSED, path);
  for (const path of ['/x/a%2fb', '/x;v=1', '/x//y', '/admin/a%2fb', '/admin/x;v=1', '/x/..%2fy'])
    assert.equal(await status('site.test', path), '200', path);
  // The connection goes on after a refusal, and the next request is served.
  assert.equal(await status('ruled.test', '/x/..%2fadmin'), '200');
  assert.equal(await status('site.test', 'http://site.test/x/..%2fadmin'), REFUSED);
});

test('a path that is on both sides of a rule is refused while the rule is in force', async () => {
  const around = ['//beta', '/beta//../x', '/beta/..;/x', '/x/%2e%2e/beta', '/beta%3fx'];
  for (const path of around) assert.equal(await status('ruled.test', path), '200', path);
  await putRollout(pair.serin, 'ruled', {
    rules: [{ name: 'everyone', percentage: 100 }],
    exclude: [{ name: 'beta', match: { path: { prefix: '/beta' } } }],
  });
  for (const path of around) assert.equal(await status('ruled.test', path), REFUSED, path);
  for (const path of ['/beta/a%2fb', '/beta', '/x//y', '/x;v=1'])
    assert.equal(await status('ruled.test', path), '200', path);
});
