/** What follows a failed attempt: as a table, and seen from a client. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Decision } from '../../../src/policy/decision.ts';
import {
  attempt,
  recoveryFrom,
  type Failure,
  type Progress,
  type Recovery,
} from '../../../src/proxy/exchange/recovery.ts';
import type { ServiceRoute } from '../../../src/proxy/routing.ts';
import { proxyInMemory } from '../../support/proxy-in-memory.ts';

const NEW: Progress = { method: 'GET', http2: false, heard: false, repeatable: true };
const ROUTE = {
  settings: { maxRetries: 2, fallbackToStable: true, fallbackToCanary: false },
  stable: [{}],
  canary: [{}],
} as unknown as ServiceRoute;

function decided(variant: 'stable' | 'canary'): Decision {
  return { variant, fallback: false, reason: 'rule' } as unknown as Decision;
}

function next(
  failure: Failure,
  progress: Partial<Progress>,
  budget: boolean,
  variant: 'stable' | 'canary',
): Recovery {
  const attempts = { mayRetry: () => budget };
  return recoveryFrom(failure, { ...NEW, ...progress }, attempts, decided(variant), ROUTE);
}

test('what may be sent again goes to another endpoint, else to the other variant, else it is answered', () => {
  for (const failure of ['not_connected', 'unprocessed', 'broken'] as const) {
    assert.equal(next(failure, {}, true, 'canary'), 'retry', failure);
    assert.equal(next(failure, {}, false, 'canary'), 'fallback', failure);
    assert.equal(next(failure, {}, false, 'stable'), 'answer', failure);
  }
});

test('what this process lacks, it lacks for every endpoint', () => {
  assert.equal(next('shortage', {}, true, 'canary'), 'answer');
});

test('a request that may have been processed is not delivered twice, unless it may be', () => {
  const once = { method: 'POST' } as const;
  assert.equal(next('broken', once, true, 'canary'), 'answer');
  assert.equal(next('broken', { heard: true }, true, 'canary'), 'answer');
  assert.equal(next('broken', { repeatable: false }, true, 'canary'), 'answer');
  assert.equal(next('not_connected', once, true, 'canary'), 'retry', 'nothing was sent');
  assert.equal(next('unprocessed', once, true, 'canary'), 'retry', 'the endpoint said so');
});

test('HTTP/2 has a word for what nobody processed and what cannot be sent again', () => {
  assert.equal(next('unprocessed', { repeatable: false, http2: true }, true, 'stable'), 'refuse');
  assert.equal(next('unprocessed', { repeatable: false }, true, 'stable'), 'answer');
  assert.equal(next('broken', { repeatable: false, http2: true }, true, 'stable'), 'answer');
});

test('the other variant is asked once, and where none of its endpoints may be asked either, an answer is left', () => {
  const asked: number[] = [];
  const left: number[] = [];
  const decision = decided('canary');
  const attempts = {
    next: (_route: ServiceRoute, variant: number) => {
      asked.push(variant);
      return 'none' as const;
    },
    fallBack: (variant: number) => void left.push(variant),
  };
  assert.equal(attempt('retry', attempts, decision, ROUTE, 0), 'answer');
  assert.deepEqual([asked, left, decision.variant, decision.fallback], [[1, 0], [1], 'stable', true]);
});

const GET = 'GET / HTTP/1.1\r\nHost: h\r\n\r\n';
const POST = 'POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\n';
const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n';

test('an endpoint that accepts no connection: another one of its variant, whatever the method is', () => {
  const { connect, opened } = proxyInMemory({ stable: ['a:1', 'b:1'] });
  const client = connect();
  client.send(POST);
  opened[0]!.close('ECONNREFUSED');
  opened[1]!.ready();
  client.send('ok');
  opened[1]!.send(`${OK}ok`);
  assert.notEqual(opened[0]!.endpoint, opened[1]!.endpoint);
  assert.match(opened[1]!.socket.written, /ok$/);
  assert.match(client.got(), /^HTTP\/1\.1 200/);
});

test('a canary without endpoints that accept a connection: stable serves', () => {
  const { connect, opened, logged } = proxyInMemory({ canary: ['c:1'], promoted: true });
  const client = connect();
  client.send(GET);
  assert.equal(opened[0]!.endpoint, 'c:1');
  opened[0]!.close('ECONNREFUSED');
  assert.equal(opened[1]!.endpoint, 's1:1');
  opened[1]!.ready();
  opened[1]!.send(`${OK}ok`);
  assert.match(client.got(), /^HTTP\/1\.1 200/);
  assert.equal(logged[0]!.variant, 'stable');
});

test('a body that was taken goes to the next endpoint again, and then goes on', () => {
  const { connect, opened } = proxyInMemory({ stable: ['a:1', 'b:1'] });
  const client = connect();
  client.send('PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 6\r\n\r\nab');
  opened[0]!.ready();
  client.send('cd');
  opened[0]!.close('ECONNRESET');
  opened[1]!.ready();
  assert.match(opened[1]!.socket.written, /\r\n\r\nabcd$/);
  client.send('ef');
  assert.match(opened[1]!.socket.written, /abcdef$/);
});

test('a POST that an endpoint has is answered with an error when the endpoint goes away', () => {
  const { connect, opened } = proxyInMemory({ stable: ['a:1', 'b:1'] });
  const client = connect();
  client.send(`${POST}ok`);
  opened[0]!.ready();
  opened[0]!.close('ECONNRESET');
  assert.equal(opened.length, 1);
  assert.match(client.got(), /^HTTP\/1\.1 502/);
});

test('an idle connection that had gone stale is no fault of its endpoint, which is asked once more', () => {
  const { connect, opened } = proxyInMemory();
  const client = connect();
  client.send(GET);
  opened[0]!.ready();
  opened[0]!.send(`${OK}ok`);
  client.got();
  client.send(GET);
  opened[0]!.close('ECONNRESET');
  assert.deepEqual(
    opened.map(({ endpoint }) => endpoint),
    ['s1:1', 's1:1'],
  );
  opened[1]!.ready();
  opened[1]!.send(`${OK}ok`);
  assert.match(client.got(), /^HTTP\/1\.1 200/);
});

test('a process without descriptors blames no endpoint and tries no other', () => {
  const { connect, opened, routing } = proxyInMemory({ stable: ['a:1', 'b:1'] });
  const client = connect();
  client.send(GET);
  opened[0]!.close('EMFILE');
  assert.equal(opened.length, 1);
  assert.match(client.got(), /^HTTP\/1\.1 503[^]*"overloaded"/);
  assert.ok(routing.services[0]!.stable.every((endpoint) => endpoint.downUntil === 0));
});

test('an idempotent request that is not answered in time goes to another endpoint', () => {
  const proxy = proxyInMemory({ stable: ['a:1', 'b:1'], settings: { responseHeadTimeout: 100 } });
  const client = proxy.connect();
  client.send(GET);
  proxy.opened[0]!.ready();
  proxy.pass(100);
  assert.equal(client.got(), '');
  proxy.opened[1]!.ready();
  proxy.opened[1]!.send(`${OK}ok`);
  assert.match(client.got(), /^HTTP\/1\.1 200/);
});
