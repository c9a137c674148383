/** The proxy's own cookies: the identity is minted once, the latch keeps a user, and neither goes where it must not. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { cookieJar } from '../support/cookie-jar.ts';
import { answer, reply } from '../support/origin.ts';
import { startPair } from '../support/pair.ts';
import { ask, connect, request } from '../support/raw-client.ts';
import { act, putRollout } from '../support/rollout.ts';
import { value, values } from '../support/strict-head.ts';
import type { Message } from '../support/strict-reader.ts';

const TRUSTED = '127.0.7.1';
const pair = startPair({
  configuration: { trustedProxies: ['127.0.7.0/24'] },
  services: (origin, canary) => {
    const endpoints = { stable: { endpoints: [origin.endpoint] }, canary: { endpoints: [canary.endpoint] } };
    return {
      shop: { hosts: ['shop.test'], pathPrefix: '/shop', ...endpoints },
      nested: { hosts: ['nested.test'], ...endpoints },
      under: { hosts: ['nested.test'], pathPrefix: '/a', ...endpoints },
      closed: { hosts: ['private.test'], cache: 'private', ...endpoints },
      varied: { hosts: ['vary.test'], cache: 'vary', ...endpoints },
    };
  },
});

/** The Set-Cookie lines of the proxy, by cookie name. */
function cookies(message: Message): Map<string, string> {
  const lines = values(message.fields, 'set-cookie').filter((line) => line.startsWith('serin_'));
  return new Map(lines.map((line) => [line.slice(0, line.indexOf('=')), line]));
}

/** `name=value` of a Set-Cookie line. */
const pairOf = (line: string | undefined) => (line ?? '').split(';')[0] as string;

const variant = (message: Message) => message.body.toString().split(' ')[0];

async function get(
  target: string,
  headers: readonly string[] = [],
  options: Parameters<typeof request>[1] = {},
): Promise<Message> {
  return ask(pair.port, request(target, { headers, ...options }));
}

test('an identity is minted once, and known again', async () => {
  const first = cookies(await get('/'));
  assert.deepEqual([...first.keys()], ['serin_id']);
  const line = first.get('serin_id') as string;
  assert.match(line, /; *HttpOnly/i);
  assert.match(line, /; *SameSite=Lax/i);
  assert.match(line, /; *Path=\/(;|$)/i);
  assert.match(line, /; *Max-Age=\d+/i);
  assert.doesNotMatch(line, /; *Secure/i);
  const again = await get('/', [`Cookie: ${pairOf(line)}`]);
  assert.equal(cookies(again).size, 0);
  const other = cookies(await get('/')).get('serin_id');
  assert.notEqual(pairOf(other), pairOf(line));
});

test('a forged identity is not believed, and replaced', async () => {
  const line = cookies(await get('/')).get('serin_id') as string;
  const forged = pairOf(line).slice(0, -2) + (pairOf(line).endsWith('AA') ? 'BB' : 'AA');
  assert.ok(cookies(await get('/', [`Cookie: ${forged}`])).has('serin_id'));
  assert.ok(cookies(await get('/', ['Cookie: serin_id=x'])).has('serin_id'));
});

test("the cookie's path is that of the whole host", async () => {
  const line = cookies(await get('/shop/cart', [], { host: 'shop.test' })).get('serin_id') as string;
  assert.match(line, /; *Path=\/(;|$)/i);
});

test('Secure behind TLS', async () => {
  const message = await ask(
    pair.port,
    request('/', { headers: ['X-Forwarded-Proto: https', 'X-Forwarded-For: 10.0.0.1'] }),
    {
      localAddress: TRUSTED,
    },
  );
  assert.match(cookies(message).get('serin_id') ?? '', /; *Secure/i);
});

test("the application's own cookies stay", async () => {
  pair.origin.route('/own', (received) =>
    answer(received, {
      headers: [
        ['Set-Cookie', 'a=1'],
        ['Set-Cookie', 'b=2'],
      ],
    }),
  );
  const lines = values((await get('/own')).fields, 'set-cookie');
  assert.ok(lines.includes('a=1') && lines.includes('b=2') && lines.length === 3);
});

test('no cookie on 304, on interim answers, on a preflight, on answers for shared caches', async () => {
  pair.origin.route('/304', (received) => reply(received, 'HTTP/1.1 304 Not Modified\r\n\r\n'));
  pair.origin.route('/103', (received) => {
    reply(received, 'HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n');
    answer(received, { body: 'x' });
  });
  assert.equal(cookies(await get('/304')).size, 0);

  const client = await connect(pair.port);
  client.write(request('/103'));
  const last = await client.answer();
  assert.equal(client.interim.length, 1);
  assert.equal(cookies(client.interim[0] as Message).size, 0);
  assert.equal(cookies(last).size, 1);
  client.destroy();

  const preflight = ['Origin: https://a.test', 'Access-Control-Request-Method: PUT'];
  assert.equal(cookies(await get('/', preflight, { method: 'OPTIONS' })).size, 0);
  assert.equal(cookies(await get('/', [], { method: 'OPTIONS' })).size, 1);

  const caching = {
    'public, max-age=600': 0,
    'max-age=31536000, immutable': 0,
    's-maxage=10': 0,
    'private, max-age=600': 1,
    'no-store': 1,
  };
  for (const [control, expected] of Object.entries(caching)) {
    const path = `/cache/${control.length}`;
    pair.origin.route(path, (received) =>
      answer(received, { headers: [['Cache-Control', control]], body: 'x' }),
    );
    const message = await get(path);
    assert.equal(value(message, 'cache-control'), control);
    assert.equal(cookies(message).size, expected, control);
  }
});

test('cache: private and cache: vary while a rollout runs', async () => {
  const control: [string, string] = ['Cache-Control', 'public, max-age=600'];
  const route = (received: Parameters<typeof answer>[0]) =>
    answer(received, { headers: [control], body: 'x' });
  pair.origin.route('/mixed', route);
  pair.canary.route('/mixed', route);
  await putRollout(pair.serin, 'closed', { rules: [{ name: 'everyone', percentage: 50 }] });
  await putRollout(pair.serin, 'varied', { rules: [{ name: 'everyone', percentage: 50 }] });
  const closed = await get('/mixed', [], { host: 'private.test' });
  assert.match(value(closed, 'cache-control') ?? '', /private/);
  assert.doesNotMatch(value(closed, 'cache-control') ?? '', /public/);
  const varied = await get('/mixed', [], { host: 'vary.test' });
  assert.match(value(varied, 'vary') ?? '', /cookie/i);
});

test('a user keeps the variant by the cookie, from the first request on', async () => {
  await putRollout(pair.serin, 'shop', { rules: [{ name: 'everyone', percentage: 50 }] });
  const seen = new Set<string>();
  for (let user = 0; user < 30; user++) {
    const agent = `User-Agent: test ${user}`;
    const ask = (headers: readonly string[]) => get('/shop/x', headers, { host: 'shop.test' });
    const [first, parallel] = await Promise.all([ask([agent]), ask([agent])]);
    assert.equal(variant(first), variant(parallel), 'parallel first requests');
    seen.add(variant(first) as string);
    const jar = [...cookies(first).values()].map(pairOf).join('; ');
    for (let count = 0; count < 3; count++) {
      const later = await ask([agent, `Cookie: ${jar}`]);
      assert.equal(variant(later), variant(first), 'a later request');
    }
  }
  assert.deepEqual([...seen].toSorted(), ['canary', 'stable']);
});

test('a latch stands in for the conditions, until its rule goes', async () => {
  const office = { name: 'office', match: { header: { 'x-office': { equals: 'yes' } } }, percentage: 100 };
  await putRollout(pair.serin, 'notes', { rules: [office, { name: 'everyone', percentage: 0 }] });
  const id = pairOf(cookies(await get('/')).get('serin_id'));
  const inside = await get('/', [`Cookie: ${id}`, 'X-Office: yes']);
  assert.equal(variant(inside), 'canary');
  const latch = cookies(inside).get('serin_latch_notes') as string;
  assert.match(latch, /; *HttpOnly/i);

  const both = `Cookie: ${id}; ${pairOf(latch)}`;
  const outside = await get('/', [both]);
  assert.equal(variant(outside), 'canary');
  assert.equal(cookies(outside).size, 0, 'a latch is set once');
  assert.equal(variant(await get('/', [`Cookie: ${id}`])), 'stable');
  const forged = `${pairOf(latch).slice(0, -2)}${pairOf(latch).endsWith('AA') ? 'BB' : 'AA'}`;
  assert.equal(variant(await get('/', [`Cookie: ${id}; ${forged}`])), 'stable');

  await act(pair.serin, 'notes', 'rollback');
  assert.equal(variant(await get('/', [both, 'X-Office: yes'])), 'stable');
  await putRollout(pair.serin, 'notes', { rules: [office] });
  assert.equal(variant(await get('/', [both])), 'stable', 'a latch of another rollout is void');
});

test('one browser sees one variant of each service, whatever prefixes of the host it walks, and half of them the canary', async () => {
  const HOST = 'nested.test';
  await putRollout(pair.serin, 'nested', { rules: [{ name: 'everyone', percentage: 50 }] });
  await putRollout(pair.serin, 'under', { rules: [{ name: 'everyone', percentage: 50 }] });
  const first = new Map<string, number>();
  for (let number = 0; number < 120; number++) {
    const jar = cookieJar();
    const seen = new Map<string, Set<string>>();
    const visit = async (path: string): Promise<void> => {
      const cookie = jar.header(HOST, path);
      const headers = [`User-Agent: walker ${number}`, ...(cookie === '' ? [] : [`Cookie: ${cookie}`])];
      const message = await get(path, headers, { host: HOST });
      jar.keep(HOST, values(message.fields, 'set-cookie'));
      const of = path.startsWith('/a') ? 'under' : 'nested';
      seen.set(of, (seen.get(of) ?? new Set()).add(variant(message) as string));
    };
    const paths = number % 2 === 0 ? ['/a/x', '/', '/a', '/x'] : ['/', '/a/x', '/x', '/a'];
    if (number % 3 === 0) await Promise.all(paths.slice(0, 2).map(visit));
    for (const path of paths) await visit(path);
    for (const [of, variants] of seen) {
      assert.equal(variants.size, 1, `${of} for browser ${number}`);
      if (variants.has('canary')) first.set(of, (first.get(of) ?? 0) + 1);
    }
  }
  // Four standard errors of 120 are 22.
  for (const [of, count] of first) assert.ok(count > 38 && count < 82, `${of}: ${count} of 120`);
});
