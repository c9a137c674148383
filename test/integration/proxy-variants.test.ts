/** Where requests go while a rollout runs: the variant, its fallback, and what a rollback does to what still runs. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { eventually, within } from '../support/bounded.ts';
import { reply, startOrigin, type Origin } from '../support/origin.ts';
import { freePort } from '../support/ports.ts';
import { ask, connect, request } from '../support/raw-client.ts';
import { act, putRollout } from '../support/rollout.ts';
import { startSerin, type Serin } from '../support/serin.ts';
import { value } from '../support/strict-head.ts';

let stable: Origin;
let canary: Origin;
let serin: Serin;

const EVERYONE = { rules: [{ name: 'everyone', percentage: 100 }] };

before(async () => {
  stable = await startOrigin('stable');
  canary = await startOrigin('canary');
  const nobody = `127.0.0.1:${await freePort()}`;
  const service = (name: string, endpoint: string, more = {}) => ({
    [name]: {
      hosts: [`${name}.test`],
      stable: { endpoints: [stable.endpoint] },
      canary: { endpoints: [endpoint] },
      rollback: { streamGrace: '600ms' },
      ...more,
    },
  });
  serin = await startSerin({
    configuration: { log: { level: 'error' } },
    workers: 2,
    services: {
      ...service('notes', canary.endpoint),
      ...service('gone', nobody),
      ...service('strict', nobody, { fallback: { toStable: false } }),
    },
  });
});

after(async () => {
  await serin?.stop();
  await stable?.close();
  await canary?.close();
});

const get = (host: string, path = '/') => ask(serin.proxyPort, request(path, { host: `${host}.test` }));

test('the variant is told to the application, and follows the rollout', async () => {
  await putRollout(serin, 'notes', EVERYONE);
  assert.match((await get('notes', '/told')).body.toString(), /^canary /);
  assert.equal(value(canary.at('/told')[0]?.message ?? { fields: [] }, 'x-canary'), 'canary');
  await act(serin, 'notes', 'rollback');
  assert.match((await get('notes', '/told')).body.toString(), /^stable /);
  assert.equal(value(stable.at('/told')[0]?.message ?? { fields: [] }, 'x-canary'), 'stable');
});

test('after a change is APPLIED no request goes by the policy before', async () => {
  for (let round = 0; round < 10; round++) {
    await putRollout(serin, 'notes', EVERYONE);
    const canaries = await Promise.all(Array.from({ length: 20 }, () => get('notes', '/applied')));
    assert.ok(canaries.every((message) => message.body.toString().startsWith('canary ')));
    await act(serin, 'notes', 'rollback');
    const stables = await Promise.all(Array.from({ length: 20 }, () => get('notes', '/applied')));
    assert.ok(stables.every((message) => message.body.toString().startsWith('stable ')));
  }
});

test('a canary that cannot be reached: its users get stable, and it is counted', async () => {
  await putRollout(serin, 'gone', EVERYONE);
  for (let count = 0; count < 10; count++) {
    const message = await get('gone', '/fallback');
    assert.equal(message.status, 200);
    assert.match(message.body.toString(), /^stable /);
  }
  assert.ok((await serin.metric('serin_fallbacks_total', { service: 'gone' })) >= 10);
  assert.equal(await serin.metric('serin_flips_total'), 0);
});

test('a canary that cannot be reached, and no fallback allowed: 503', async () => {
  await putRollout(serin, 'strict', EVERYONE);
  for (let count = 0; count < 10; count++) assert.equal((await get('strict', '/none')).status, 503);
});

test('a rollback ends tunnels and streams on the canary after the grace, and leaves those on stable', async () => {
  const upgrade = ['Connection: Upgrade', 'Upgrade: websocket'];
  const accept = 'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n';
  for (const origin of [stable, canary]) {
    origin.route('/tunnel', (received) => {
      received.connection.reader.tunnel((bytes) => received.connection.socket.write(bytes));
      reply(received, accept);
    });
    origin.route('/stream', (received) =>
      reply(received, 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n'),
    );
  }
  const open = async (path: string) => {
    const client = await connect(serin.proxyPort);
    client.write(request(path, { host: 'notes.test', headers: path === '/tunnel' ? upgrade : [] }));
    await eventually(() => client.answers[0], 'the head');
    return client;
  };
  const kept = await open('/tunnel');
  assert.equal(stable.at('/tunnel').length, 1);
  await putRollout(serin, 'notes', EVERYONE);
  const tunnel = await open('/tunnel');
  const stream = await open('/stream');
  assert.equal(canary.at('/tunnel').length + canary.at('/stream').length, 2);

  await act(serin, 'notes', 'rollback');
  tunnel.write('still');
  await eventually(() => tunnel.tunnelled().toString() === 'still', 'an echo within the grace');
  await within(tunnel.finished, 'the end of the tunnel');
  await within(stream.finished, 'the end of the stream');
  assert.equal(stream.answers[0]?.complete, false);
  kept.write('on and on');
  await eventually(() => kept.tunnelled().toString() === 'on and on', 'an echo on stable');
  kept.destroy();
});
