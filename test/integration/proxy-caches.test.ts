/**
 * A shared cache in front of the proxy, nginx, that keeps whatever it may for ten minutes: with `cache: private` and `cache: vary` it
 * never gives the canary's answer to a user of stable; without them it does, which shows that it would.
 */
import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { eventually } from '../support/bounded.ts';
import { answer, reply } from '../support/origin.ts';
import { startPair } from '../support/pair.ts';
import { freePort } from '../support/ports.ts';
import { ask, connect, request } from '../support/raw-client.ts';
import { putRollout } from '../support/rollout.ts';
import { value, values } from '../support/strict-head.ts';
import type { Message } from '../support/strict-reader.ts';

const MODES = ['preserve', 'private', 'vary'] as const;
const pair = startPair({
  services: (origin, canary) => {
    const endpoints = { stable: { endpoints: [origin.endpoint] }, canary: { endpoints: [canary.endpoint] } };
    return {
      ...Object.fromEntries(
        MODES.map((cache) => [`s-${cache}`, { hosts: [`${cache}.test`], cache, ...endpoints }]),
      ),
      // Its users are known by a header, and so by no cookie.
      's-known': { hosts: ['known.test'], cache: 'vary', identity: [{ header: 'x-user-id' }], ...endpoints },
      's-quiet': { hosts: ['quiet.test'], cache: 'private', ...endpoints },
    };
  },
});

let directory = '';
let nginx: ChildProcess | undefined;
let port = 0;

let starting: Promise<void> | undefined;

/** The cache and the rollouts; hooks of one file do not wait for each other. */
function ready(): Promise<void> {
  return (starting ??= start());
}

async function start(): Promise<void> {
  directory = await mkdtemp(join(tmpdir(), 'serin-nginx-'));
  port = await freePort();
  const file = join(directory, 'nginx.conf');
  const places = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(
    (name) => `${name}_temp_path ${directory}/${name};`,
  );
  await writeFile(
    file,
    `daemon off;
master_process off;
pid ${directory}/pid;
error_log stderr;
events {}
http {
  access_log off;
  ${places.join('\n  ')}
  proxy_cache_path ${directory}/cache keys_zone=all:1m;
  server {
    listen 127.0.0.1:${port};
    location / {
      proxy_pass http://127.0.0.1:${pair.port};
      proxy_http_version 1.1;
      proxy_set_header Host $http_host;
      proxy_set_header Connection "";
      proxy_cache all;
      proxy_cache_key "$http_host$request_uri";
      proxy_cache_valid any 10m;
      add_header X-Cache $upstream_cache_status always;
    }
  }
}
`,
  );
  nginx = spawn('nginx', ['-e', 'stderr', '-c', file], {
    stdio: ['ignore', 'ignore', 'pipe'],
    env: { PATH: `${process.env['PATH']}:/usr/sbin` },
  });
  let said = '';
  nginx.stderr!.setEncoding('utf8').on('data', (text: string) => (said += text));
  const client = await eventually(() => connect(port).catch(() => null), `nginx: ${said}`);
  client?.destroy();
  for (const service of [...MODES, 'known']) {
    await putRollout(pair.serin, `s-${service}`, {
      rules: [
        { name: 'team', match: { header: { 'x-team': { present: true } } }, percentage: 100 },
        { name: 'everyone', percentage: 0 },
      ],
    });
  }
}

after(async () => {
  if (nginx !== undefined && nginx.exitCode === null && nginx.kill('SIGKILL')) await once(nginx, 'exit');
  if (directory !== '') await rm(directory, { recursive: true, force: true });
});

interface Case {
  readonly name: string;
  readonly status?: number;
  readonly headers: readonly (readonly [string, string])[];
}

const LATER = 'Thu, 01 Dec 2050 16:00:00 GMT';
const CACHEABLE: readonly Case[] = [
  { name: 'nothing said', headers: [] },
  { name: 'last-modified', headers: [['Last-Modified', 'Mon, 30 Nov 2020 12:00:00 GMT']] },
  { name: 'public', headers: [['Cache-Control', 'public, max-age=600']] },
  { name: 's-maxage', headers: [['Cache-Control', 'max-age=0, s-maxage=600']] },
  { name: 'expires', headers: [['Expires', LATER]] },
  { name: 'qualified', headers: [['Cache-Control', 'max-age=600, x="a, b"']] },
  {
    name: 'accel',
    headers: [
      ['X-Accel-Expires', '600'],
      ['Cache-Control', 'no-store'],
    ],
  },
  {
    name: 'two lines',
    headers: [
      ['Cache-Control', 'public'],
      ['Cache-Control', 'max-age=600'],
      ['Expires', LATER],
    ],
  },
  ...[203, 204, 300, 301, 302, 308, 404, 405, 410, 414, 501].map((status) => ({
    name: `status ${status}`,
    status,
    headers: [['Last-Modified', 'Mon, 30 Nov 2020 12:00:00 GMT']] as const,
  })),
];

const target = ({ name }: Case): string => `/${name.replaceAll(' ', '-')}`;

function route(): void {
  for (const each of CACHEABLE) {
    for (const [variant, origin] of [
      ['stable', pair.origin],
      ['canary', pair.canary],
    ] as const) {
      origin.route(target(each), (got) =>
        answer(got, {
          status: each.status ?? 200,
          headers: [...each.headers, ['X-Variant', variant]],
          body: variant,
        }),
      );
    }
  }
}

const get = (
  cache: string,
  path: string,
  headers: readonly string[] = [],
  method = 'GET',
): Promise<Message> =>
  ask(port, request(path, { host: `${cache}.test`, headers, method }), { methods: [method] });
const variant = (message: Message): string => value(message, 'x-variant') ?? '';
const TEAM = ['X-Team: 1'];

/** The cookies that an answer sets, as a request sends them. */
const cookieOf = (message: Message): string =>
  `Cookie: ${values(message.fields, 'set-cookie')
    .map((line) => line.split(';')[0])
    .join('; ')}`;

test('left alone, the cache mixes the variants: what follows would be seen', async () => {
  await ready();
  route();
  // An answer that sets a cookie is not kept by nginx, so these users have theirs already.
  const known = cookieOf(await get('preserve', '/'));
  for (const each of CACHEABLE) {
    const team = await get('preserve', target(each), [...TEAM, known]);
    if (values(team.fields, 'set-cookie').length > 0) await get('preserve', target(each), [...TEAM, known]);
    assert.equal(variant(team), 'canary', each.name);
  }
  const mixed = await get('preserve', '/public', [known]);
  assert.equal(`${variant(mixed)} ${value(mixed, 'x-cache')}`, 'canary HIT');
});

for (const cache of ['private', 'vary'] as const) {
  test(`cache: ${cache} keeps the canary's answers from users of stable, whatever the application says`, async () => {
    await ready();
    route();
    for (const each of CACHEABLE) {
      const path = target(each);
      const [team, guest] = [await get(cache, path, TEAM), await get(cache, path)];
      assert.equal(variant(team), 'canary', each.name);
      assert.equal(variant(guest), 'stable', `${each.name}: a guest gets the answer of the team`);
      // The other way round, and by users who have cookies by now.
      const head = await get(cache, path, [], 'HEAD');
      assert.equal(variant(head), 'stable', each.name);
      assert.equal(variant(await get(cache, path, TEAM)), 'canary', each.name);
      assert.equal(variant(await get(cache, path, [...TEAM, cookieOf(team)])), 'canary', each.name);
      assert.equal(variant(await get(cache, path, [cookieOf(guest)])), 'stable', each.name);
      assert.equal(variant(await get(cache, path)), 'stable', each.name);
    }
  });
}

test('cache: vary goes on sharing an answer among the requests of one user', async () => {
  await ready();
  route();
  const guest = cookieOf(await get('vary', '/'));
  const first = await get('vary', '/public?own', [guest]);
  const again = await get('vary', '/public?own', [guest]);
  assert.equal(value(first, 'vary'), 'Cookie');
  assert.deepEqual([value(first, 'x-cache'), value(again, 'x-cache')], ['MISS', 'HIT']);
  assert.equal(values(first.fields, 'set-cookie').length, 0);
  // Somebody else's cookies, and the same path.
  const other = cookieOf(await get('vary', '/', TEAM));
  assert.equal(variant(await get('vary', '/public?own', [other])), 'canary');
});

test('cache: vary keeps to themselves the answers of users whom a header tells apart, and those that set cookies', async () => {
  await ready();
  route();
  for (const each of CACHEABLE) {
    const path = target(each);
    assert.equal(variant(await get('known', path, [...TEAM, 'X-User-Id: 1'])), 'canary', each.name);
    assert.equal(variant(await get('known', path, ['X-User-Id: 2'])), 'stable', each.name);
  }
  const straight = (host: string, headers: readonly string[]): Promise<Message> =>
    ask(pair.port, request('/public', { host, headers }));
  const caching = (message: Message): (string | undefined)[] => [
    value(message, 'cache-control'),
    value(message, 'vary'),
  ];
  const known = await straight('known.test', ['X-User-Id: 3']);
  assert.deepEqual(caching(known), ['private, max-age=600', 'Cookie']);
  const guest = cookieOf(await straight('vary.test', []));
  assert.deepEqual(caching(await straight('vary.test', [guest])), ['public, max-age=600', 'Cookie']);
  // From now on this user has a latch as well.
  const latched = await straight('vary.test', [guest, ...TEAM]);
  assert.equal(values(latched.fields, 'set-cookie').length, 1);
  assert.deepEqual(caching(latched), ['private, max-age=600', 'Cookie']);
  const both = `${guest}; ${cookieOf(latched).replace('Cookie: ', '')}`;
  assert.deepEqual(caching(await straight('vary.test', [both])), ['public, max-age=600', 'Cookie']);
});

test('while nothing is rolled out, the caching is as the application says', async () => {
  await ready();
  route();
  const message = await ask(pair.port, request('/public', { host: 'quiet.test' }));
  assert.equal(value(message, 'cache-control'), 'public, max-age=600');
});

test('with cache: preserve, answers that may be mixed are counted, and no others', async () => {
  await ready();
  route();
  const count = (service: string): Promise<number> =>
    pair.serin.metric('serin_shared_cacheable_responses_total', { service });
  for (const [host, path, method, counted] of [
    ['preserve', '/public', 'GET', 1],
    ['preserve', '/public', 'HEAD', 1],
    ['preserve', '/last-modified', 'GET', 1],
    ['preserve', '/accel', 'GET', 1],
    ['preserve', '/nothing-said', 'GET', 0],
    ['preserve', '/status-302', 'GET', 0],
    ['preserve', '/public', 'POST', 0],
    ['preserve', '/last-modified', 'POST', 0],
    ['private', '/public', 'GET', 0],
    ['vary', '/public', 'GET', 0],
    ['quiet', '/public', 'GET', 0],
  ] as const) {
    const before = await count(`s-${host}`);
    const headers = method === 'POST' ? ['Content-Length: 0'] : [];
    await ask(pair.port, request(path, { host: `${host}.test`, method, headers }), { methods: [method] });
    assert.equal((await count(`s-${host}`)) - before, counted, `${method} ${path} of ${host}`);
  }
});

test('a 304 and an answer to another method are private too, and no field speaks to some caches alone', async () => {
  await ready();
  for (const origin of [pair.origin, pair.canary]) {
    origin.route('/special', (got) =>
      answer(got, {
        status: got.message.method === 'GET' ? 304 : 200,
        headers: [
          ['ETag', '"1"'],
          ['Cache-Control', 'public, max-age=600'],
          ['Expires', LATER],
          ['CDN-Cache-Control', 'max-age=600'],
          ['Cloudflare-CDN-Cache-Control', 'max-age=600'],
          ['Surrogate-Control', 'max-age=600'],
          ['Edge-Control', 'max-age=600'],
          ['X-Accel-Expires', '600'],
          ['Vercel-CDN-Cache-Control', 'max-age=600'],
        ],
      }),
    );
  }
  for (const method of ['GET', 'POST', 'HEAD']) {
    const message = await ask(
      pair.port,
      request('/special', {
        host: 'private.test',
        method,
        headers: ['Content-Length: 0', 'If-None-Match: "1"'],
      }),
      { methods: [method] },
    );
    assert.equal(value(message, 'cache-control'), 'private, max-age=600', method);
    const names = message.fields.map(([name]) => name.toLowerCase());
    assert.deepEqual(
      names.filter((name) => /surrogate|edge|accel|cdn|expires/.test(name)),
      [],
      method,
    );
  }
});

test('an answer without content has no length, whatever its caching', async () => {
  await ready();
  for (const origin of [pair.origin, pair.canary]) {
    origin.route('/nothing', (got) =>
      reply(got, 'HTTP/1.1 204 No Content\r\nContent-Length: 0\r\nCache-Control: public\r\n\r\n'),
    );
  }
  for (const [cache, control] of [
    ['private', 'private'],
    ['preserve', 'public'],
  ] as const) {
    const message = await ask(pair.port, request('/nothing', { host: `${cache}.test` }));
    assert.deepEqual(
      [message.status, value(message, 'cache-control'), value(message, 'content-length')],
      [204, control, undefined],
    );
  }
});
