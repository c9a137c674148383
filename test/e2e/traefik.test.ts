/**
 * Traefik in front of Serin, both real, with the configuration of config/traefik: routes that go to Serin and back under load
 * lose no request and move no user, and headers and paths come through as docs/traefik.md says.
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { request as httpRequest, type IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import { after, before, test } from 'node:test';
import { eventually, within } from '../support/bounded.ts';
import {
  ask as request,
  ELSEWHERE,
  HOST,
  passes,
  startBackend,
  startLoad,
  throughSerin,
  type Backend,
} from '../support/echo-load.ts';
import { act, putRollout } from '../support/rollout.ts';
import { startSerin, type Serin } from '../support/serin.ts';
import { startTraefik, traefikVersion, type Traefik } from '../support/traefik.ts';

const version = traefikVersion();
const skip =
  version === null ? 'there is no traefik on the path (docs/traefik.md says how to get one)' : false;

/** Who may claim to be anybody: Traefik, which connects from here. */
const TRAEFIK = '127.0.0.1';
/** A user at the office. */
const OFFICE = '127.0.0.5';

let stable: Backend;
let canary: Backend;
let serin: Serin;
let traefik: Traefik;

before(async () => {
  if (version === null) return;
  [stable, canary] = [await startBackend('stable'), await startBackend('canary')];
  serin = await startSerin({
    workers: 2,
    configuration: {
      trustedProxies: [`${TRAEFIK}/32`],
      segments: { office: [`${OFFICE}/32`] },
      proxy: { drain: { delay: '3s', grace: '5s', idle: '1s' } },
    },
    services: {
      notes: {
        hosts: [HOST],
        identity: [{ header: 'x-user-id' }, { cookie: 'serin_id', mint: true }, { fingerprint: true }],
        stable: { endpoints: [stable.address] },
        canary: { endpoints: [canary.address] },
      },
    },
  });
  traefik = await startTraefik({
    straight: [stable.address],
    serin: [`127.0.0.1:${serin.proxyPort}`],
    opsPort: serin.opsPort,
    adapt(_, services) {
      // The example's interval fits a drain of 10 s; this test's is shorter.
      const { healthCheck } = services.http.services['serin']!.loadBalancer!;
      healthCheck!.interval = '500ms';
    },
  });
  await putRollout(serin, 'notes', {
    rules: [
      { name: 'office', match: { segment: 'office' }, percentage: 100 },
      { name: 'everyone', percentage: 0 },
    ],
  });
});
after(async () => {
  if (version === null) return;
  await traefik?.stop();
  await serin?.stop();
  stable?.close();
  canary?.close();
});

const ask = (asked: Partial<Parameters<typeof request>[0]>): ReturnType<typeof request> =>
  request({ port: traefik.port, ...asked });

test(
  'routes go to Serin and back ten times under load: no request is lost, no user moves',
  { skip },
  async (t) => {
    await act(serin, 'notes', 'percentage', { percentage: 50, rule: 'everyone' });
    const load = startLoad(traefik.port, 12);
    try {
      for (let round = 0; round < 5; round++) {
        await traefik.route('notes-rollout.yaml');
        await passes(load, 1_000);
        await traefik.route('dynamic/notes.yaml');
        await passes(load, 200);
      }
    } finally {
      const { requests, failures, routed, variants } = await load.stop();
      t.diagnostic(
        `Traefik ${version}: ${requests} requests, ${routed} through Serin, ${failures.length} lost`,
      );
      assert.deepEqual(failures, []);
      assert.ok(routed > 2_000);
      const moved = [...variants].filter(([, got]) => got.size > 1);
      assert.deepEqual(moved, []);
      const onCanary = [...variants.values()].filter((got) => got.has('canary')).length;
      assert.ok(onCanary > 150 && onCanary < 350, `${onCanary} of ${variants.size} have the canary`);
      const twice = [...stable.posts, ...canary.posts].filter(([, times]) => times > 1);
      assert.deepEqual(twice, [], 'no POST arrived twice');
      assert.equal(await serin.metric('serin_flips_total'), 0);
    }
  },
);

test('an upgraded connection lives on when the route moves', { skip }, async () => {
  await traefik.route('notes-rollout.yaml');
  const sent = httpRequest({
    host: '127.0.0.1',
    port: traefik.port,
    headers: { host: HOST, connection: 'Upgrade', upgrade: 'websocket', 'x-user-id': 'user-1' },
  });
  sent.end();
  const [, socket] = (await within(once(sent, 'upgrade'), 'the upgrade')) as [IncomingMessage, Socket];
  try {
    const echoed = async (text: string): Promise<string> => {
      const answer = once(socket, 'data') as Promise<[Buffer]>;
      socket.write(text);
      return (await within(answer, 'the echo'))[0].toString();
    };
    assert.equal(await echoed('before'), 'before');
    await traefik.route('dynamic/notes.yaml');
    assert.equal(await echoed('after'), 'after');
  } finally {
    socket.destroy();
  }
});

test('where a request comes from is believed from Traefik alone', { skip }, async () => {
  await traefik.route('notes-rollout.yaml');
  await act(serin, 'notes', 'percentage', { percentage: 0, rule: 'everyone', allowDecrease: true });
  const office = await ask({ from: OFFICE, headers: { 'x-user-id': 'o1' } });
  assert.equal(office.echo.variant, 'canary');
  assert.equal(office.echo.headers['x-forwarded-for'], `${OFFICE}, ${TRAEFIK}`);
  assert.equal(office.echo.headers['x-forwarded-proto'], 'http');
  assert.equal(office.echo.headers['x-forwarded-host'], HOST);
  assert.equal(office.echo.headers.host, HOST);

  const claims: Record<string, string>[] = [
    { 'x-forwarded-for': OFFICE },
    { x_forwarded_for: OFFICE },
    { 'x-real-ip': OFFICE },
    { forwarded: `for=${OFFICE}` },
  ];
  for (const [index, headers] of claims.entries()) {
    const claimed = await ask({ from: ELSEWHERE, headers: { 'x-user-id': `e${index}`, ...headers } });
    assert.equal(claimed.echo.variant, 'stable', JSON.stringify(headers));
    assert.doesNotMatch(JSON.stringify(claimed.echo.headers), new RegExp(OFFICE.replaceAll('.', '\\.')));
    const direct = await ask({
      port: serin.proxyPort,
      from: ELSEWHERE,
      headers: { 'x-user-id': `d${index}`, ...headers },
    });
    assert.equal(direct.echo.variant, 'stable', `without Traefik: ${JSON.stringify(headers)}`);
  }
});

test('which variant a request belongs to is for Serin to say, on either route', { skip }, async () => {
  const headers = { 'x-user-id': 'e9', 'x-canary': 'canary' };
  await traefik.route('dynamic/notes.yaml');
  assert.equal((await ask({ headers })).echo.headers['x-canary'], undefined);
  await traefik.route('notes-rollout.yaml');
  assert.equal((await ask({ headers })).echo.headers['x-canary'], 'stable');
});

test('paths and header names as docs/traefik.md says', { skip }, async () => {
  await traefik.route('notes-rollout.yaml');
  const arrives = async (path: string): Promise<string> => (await ask({ path })).echo.url;
  assert.equal(await arrives('/a%2fb'), '/a%2Fb', 'an encoded slash stays one, in upper case');
  assert.equal(await arrives('/a%252Fb'), '/a%252Fb');
  assert.equal(await arrives('/%61//b/../c/./d?x=%2F..'), '/a/c/d?x=%2F..', 'the rest is normalised');
  const { echo } = await ask({
    headers: { x_auth_user: 'admin', 'x.auth.user': 'admin', 'x-auth-user': 'eve' },
  });
  assert.deepEqual(
    Object.entries(echo.headers).filter(([, value]) => value === 'admin'),
    [],
    'aliases of header names are dropped',
  );
  assert.equal(echo.headers['x-auth-user'], 'eve', 'the name itself is not: anybody may send it');
});

test(
  'Serin ends and starts under load: its health check takes it out, and nobody notices',
  { skip },
  async (t) => {
    await traefik.route('notes-rollout.yaml');
    await eventually(async () => throughSerin((await ask({})).echo), 'requests through Serin');
    const load = startLoad(traefik.port, 6);
    await passes(load, 200);
    process.kill(serin.pid, 'SIGTERM');
    await within(serin.exit, 'the end of Serin');
    await passes(load, 200);
    const { requests, failures, routed } = await load.stop();
    t.diagnostic(`${requests} requests, ${routed} through Serin before it ended, ${failures.length} lost`);
    assert.deepEqual(failures, []);
    assert.ok(requests > routed, 'stable took over');
  },
);
