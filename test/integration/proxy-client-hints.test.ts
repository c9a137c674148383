/** Client hints at a running proxy: asked for where a service says so, and read by rules; doubts about versions are in a write's answer. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { answer, reply } from '../support/origin.ts';
import { startPair } from '../support/pair.ts';
import { ask, request } from '../support/raw-client.ts';
import { putRollout } from '../support/rollout.ts';
import { value, values } from '../support/strict-head.ts';

const pair = startPair({
  services: (origin, canary) => {
    const endpoints = { stable: { endpoints: [origin.endpoint] }, canary: { endpoints: [canary.endpoint] } };
    return {
      asking: { hosts: ['asking.test'], clientHints: true, ...endpoints },
      silent: { hosts: ['silent.test'], ...endpoints },
    };
  },
});

const NEWER = {
  rules: [{ name: 'new', match: { device: { os: { name: 'android', version: '>=14' } } }, percentage: 100 }],
};
const AGENT =
  'User-Agent: Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Mobile Safari/537.36';
const HINTS = (version: string): string[] => [
  AGENT,
  'Sec-CH-UA-Platform: "Android"',
  `Sec-CH-UA-Platform-Version: "${version}"`,
  'Sec-CH-UA-Mobile: ?1',
];

test('answers ask for hints where the service says so, beside what the application asks for', async () => {
  const head = (host: string, path = '/') => ask(pair.port, request(path, { host }));
  const asked = 'Sec-CH-UA-Platform-Version, Sec-CH-UA-Model, Sec-CH-UA-Form-Factors';
  assert.equal(value(await head('asking.test'), 'accept-ch'), asked);
  assert.equal(value(await head('silent.test'), 'accept-ch'), undefined);
  pair.origin.route('/own', (got) => answer(got, { headers: [['Accept-CH', 'DPR']] }));
  assert.deepEqual(values((await head('asking.test', '/own')).fields, 'accept-ch'), ['DPR', asked]);
  pair.origin.route('/304', (got) => reply(got, 'HTTP/1.1 304 Not Modified\r\n\r\n'));
  assert.equal(value(await head('asking.test', '/304'), 'accept-ch'), asked);
});

test('a rule goes by the version that the browser tells', async () => {
  await putRollout(pair.serin, 'asking', NEWER);
  const variant = async (headers: readonly string[]) =>
    (await ask(pair.port, request('/', { host: 'asking.test', headers }))).body.toString().split(' ')[0];
  assert.equal(await variant([AGENT]), 'stable');
  assert.equal(await variant(HINTS('14.0.0')), 'canary');
  assert.equal(await variant(HINTS('13.0.0')), 'stable');
  assert.equal(await variant(HINTS('15.0.0')), 'canary');
});
