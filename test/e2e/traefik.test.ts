/**
 * Traefik in front of Serin, both real, with the configuration of config/traefik: routes that go to Serin and back under load
 * lose no request and move no user, and headers and paths come through as docs/traefik.md says.
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { Agent, createServer, request as httpRequest, type IncomingMessage } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { after, before, test } from 'node:test';
import { eventually, within } from '../support/bounded.ts';
import { act, putRollout } from '../support/rollout.ts';
import { startSerin, type Serin } from '../support/serin.ts';
import { startTraefik, traefikVersion, type Traefik } from '../support/traefik.ts';

const version = traefikVersion();
const skip =
  version === null ? 'there is no traefik on the path (docs/traefik.md says how to get one)' : false;

/** Who may claim to be anybody: Traefik, which connects from here. */
const TRAEFIK = '127.0.0.1';
/** A user at the office, and one elsewhere. Everything of 127.0.0.0/8 is this machine. */
const OFFICE = '127.0.0.5';
const ELSEWHERE = '127.0.0.9';
const HOST = 'notes.example.com';

interface Echo {
  readonly variant: 'stable' | 'canary';
  readonly url: string;
  readonly headers: Record<string, string | undefined>;
  readonly body: number;
}

interface Backend {
  readonly address: string;
  /** How often each POST arrived, by the number it carries. */
  readonly posts: Map<string, number>;
  close(): void;
}

/** An application that says what arrived, and echoes whatever comes over an upgraded connection. */
async function startBackend(variant: string): Promise<Backend> {
  const posts = new Map<string, number>();
  const sockets = new Set<Socket>();
  const server = createServer((request, response) => {
    const once = request.headers['x-once'];
    if (typeof once === 'string') posts.set(once, (posts.get(once) ?? 0) + 1);
    let body = 0;
    request.on('data', (chunk: Buffer) => (body += chunk.length));
    request.on('end', () => {
      const text = JSON.stringify({ variant, url: request.url, headers: request.headers, body });
      response.writeHead(200, { 'content-type': 'application/json', 'content-length': text.length });
      response.end(text);
    });
  });
  // Longer than Traefik and Serin keep theirs.
  server.keepAliveTimeout = 120_000;
  server.on('upgrade', (_, socket: Socket) => {
    socket.write(`HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n`);
    socket.on('error', () => {});
    socket.pipe(socket);
  });
  server.on('connection', (socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    address: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    posts,
    close() {
      server.close();
      for (const socket of sockets) socket.destroy();
    },
  };
}

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

interface Asked {
  readonly port?: number;
  readonly from?: string;
  readonly method?: string;
  readonly path?: string;
  readonly headers?: Record<string, string>;
  readonly body?: Buffer;
  readonly agent?: Agent;
}

/** One request; rejects where the connection fails or the answer is not whole. */
async function ask({
  port = traefik.port,
  from = ELSEWHERE,
  method = 'GET',
  path = '/',
  headers = {},
  body,
  agent,
}: Asked): Promise<{ status: number; echo: Echo; cookies: string[] }> {
  const sent = httpRequest({
    host: '127.0.0.1',
    port,
    localAddress: from,
    method,
    path,
    headers: { host: HOST, ...headers },
    ...(agent === undefined ? { agent: false as const } : { agent }),
  });
  sent.end(body);
  const [answer] = (await within(once(sent, 'response'), `an answer to ${method} ${path}`)) as [
    IncomingMessage,
  ];
  let text = '';
  for await (const chunk of answer.setEncoding('utf8')) text += chunk as string;
  const status = answer.statusCode ?? 0;
  const cookies = answer.headers['set-cookie'] ?? [];
  return { status, echo: (status === 200 ? JSON.parse(text) : null) as Echo, cookies };
}

/** Whether Serin was on the way: it tells the application its variant. */
const throughSerin = (echo: Echo): boolean => echo.headers['x-canary'] !== undefined;

interface Load {
  readonly requests: number;
  readonly failures: string[];
  /** Requests that came through Serin. */
  readonly routed: number;
  /** What each user got through Serin, each once. */
  readonly variants: ReadonlyMap<string, ReadonlySet<string>>;
}

/** Clients that keep their connections, each asking for another of 500 users every time, until `ended` is true. */
function startLoad(clients: number): { readonly counts: () => number; stop(): Promise<Load> } {
  const failures: string[] = [];
  const variants = new Map<string, Set<string>>();
  let [requests, routed] = [0, 0];
  const ended = new AbortController();
  const agents: Agent[] = [];
  const lane = async (lane: number): Promise<void> => {
    // Clients of one machine for each connection, as people are.
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    agents.push(agent);
    for (let turn = 0; !ended.signal.aborted; turn++) {
      const user = `user-${(turn * 37 + lane * 61) % 500}`;
      const post = turn % 4 === 3;
      try {
        const { status, echo } = await ask({
          agent,
          from: ELSEWHERE,
          method: post ? 'POST' : 'GET',
          path: `/notes?turn=${turn}`,
          headers: {
            'x-user-id': user,
            ...(post ? { 'x-once': `${lane}-${turn}`, 'content-length': '2000' } : {}),
          },
          ...(post ? { body: Buffer.alloc(2000) } : {}),
        });
        requests++;
        if (status !== 200) failures.push(`${status} for turn ${turn}`);
        else if (post && echo.body !== 2000) failures.push(`${echo.body} bytes arrived`);
        else if (throughSerin(echo)) {
          routed++;
          variants.set(user, (variants.get(user) ?? new Set()).add(echo.variant));
        }
      } catch (error) {
        failures.push(`turn ${turn}: ${(error as Error).message}`);
      }
    }
  };
  const lanes = Array.from({ length: clients }, (_, index) => lane(index));
  return {
    counts: () => requests,
    async stop() {
      ended.abort();
      await Promise.all(lanes);
      for (const agent of agents) agent.destroy();
      return { requests, failures, routed, variants };
    },
  };
}

/** Waits until so many more requests are done. */
const passes = (load: { counts: () => number }, more: number): Promise<boolean> => {
  const end = load.counts() + more;
  return eventually(() => load.counts() >= end, `${more} more requests`, 30_000);
};

test(
  'routes go to Serin and back ten times under load: no request is lost, no user moves',
  { skip },
  async (t) => {
    await act(serin, 'notes', 'percentage', { percentage: 50, rule: 'everyone' });
    const load = startLoad(12);
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
    await eventually(async () => throughSerin((await ask({})).echo), 'requests through Serin', 15_000);
    const load = startLoad(6);
    await passes(load, 200);
    process.kill(serin.pid, 'SIGTERM');
    await within(serin.exit, 'the end of Serin', 20_000);
    await passes(load, 200);
    const { requests, failures, routed } = await load.stop();
    t.diagnostic(`${requests} requests, ${routed} through Serin before it ended, ${failures.length} lost`);
    assert.deepEqual(failures, []);
    assert.ok(requests > routed, 'stable took over');
  },
);
