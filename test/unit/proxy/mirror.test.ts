/** Which requests the mirror takes, by chance and by limits, with chance and time in the test's hand. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { OWN_FIELDS } from '../../../src/proxy/exchange/field-guard.ts';
import { Mirror } from '../../../src/proxy/mirror/mirror.ts';
import type { RequestContext } from '../../../src/proxy/exchange/request-context.ts';
import type { ServiceRoute } from '../../../src/proxy/routing.ts';
import type { MirrorSettings } from '../../../src/contract/snapshot.ts';
import { makeVia } from '../../../src/proxy/exchange/via.ts';
import { parseRequestHead, RequestHead } from '../../../src/http1/request-head.ts';
import { UNKNOWN_ADDRESS } from '../../../src/ip/address.ts';
import { MIRROR_OUTCOMES } from '../../../src/telemetry/counters.ts';
import { SERVICE_SLOT } from '../../../src/telemetry/service-counters.ts';
import { newServiceCounters } from '../telemetry/fake-source.ts';

const SETTINGS: MirrorSettings = {
  percentage: 10,
  methods: ['GET', 'POST'],
  timeout: 1000,
  maxConcurrent: 2,
};
const HEAD_LIMITS = { requestLine: 8192, head: 32_768, fields: 100 };
const LIMITS = { ...HEAD_LIMITS, extension: 256, trailer: 8192 };

interface Decided {
  readonly assigned?: string;
  readonly variant?: string;
  readonly reason?: string;
}

function mirrorOf(settings: Partial<MirrorSettings> = {}) {
  const own = newServiceCounters();
  const sibling = newServiceCounters();
  const state = { chance: 0, short: false, later: [] as (() => void)[] };
  const mirror = new Mirror(own, [own, sibling], {
    monotonicNow: () => 0,
    random: () => state.chance,
    short: () => state.short,
    later: (task) => state.later.push(task),
  });
  // No endpoint: what is sent ends at once, and a test sees what would have been.
  const route = {
    settings: { mirror: { ...SETTINGS, ...settings } },
    upstreams: [null, { pick: () => null }],
  } as unknown as ServiceRoute;
  const take = (lines: readonly string[] = [], decided: Decided = {}, method = 'GET') => {
    const head = new RequestHead();
    const bytes = Buffer.from([`${method} / HTTP/1.1`, 'Host: a', ...lines, '', ''].join('\r\n'));
    assert.equal(parseRequestHead(bytes, 0, bytes.length, HEAD_LIMITS, head), bytes.length);
    const decision = { assigned: 'stable', variant: 'stable', reason: 'noMatch', ...decided };
    const downstream = { peer: UNKNOWN_ADDRESS, port: 80, secure: false };
    const view = {
      head,
      decision,
      downstream,
      upgrade: head.upgrade,
      requestId: 'r',
      stripCookie: '',
      via: makeVia([]),
      guard: OWN_FIELDS,
    };
    const bodiless = !head.chunked && head.contentLength <= 0;
    return mirror.take(view as unknown as RequestContext, bodiless, route, LIMITS);
  };
  const count = (outcome: (typeof MIRROR_OUTCOMES)[number]): number =>
    own.slots[SERVICE_SLOT.mirrorOutcomes + MIRROR_OUTCOMES.indexOf(outcome)]!;
  return { own, sibling, state, mirror, take, count };
}

test('chance decides, by the percentage', () => {
  const { own, state, take } = mirrorOf();
  for (const [chance, sent] of [
    [0.1, 0],
    [0.999, 0],
    [0.0999, 1],
    [0, 2],
  ] as const) {
    state.chance = chance;
    take();
    assert.equal(own.mirrorsInFlight, sent);
  }
  assert.equal(state.later.length, 2);
});

test('nothing is sent before what was written for the user has gone out', () => {
  const { own, state, take, count } = mirrorOf();
  take();
  assert.equal(count('no_endpoint'), 0);
  for (const task of state.later.splice(0)) task();
  assert.equal(count('no_endpoint'), 1);
  assert.equal(own.mirrorsInFlight, 0);
});

test('only what stable got by decision', () => {
  const { own, take } = mirrorOf();
  for (const decided of [
    { assigned: 'canary' },
    { assigned: 'canary', variant: 'canary' },
    { variant: 'canary' },
    { reason: 'exclude' },
    { reason: 'override' },
  ])
    take([], decided);
  take([], {}, 'DELETE');
  take(['Connection: Upgrade', 'Upgrade: echo']);
  assert.equal(own.mirrorsInFlight, 0);
  for (const reason of ['idle', 'noMatch']) take([], { reason });
  assert.equal(own.mirrorsInFlight, 2);
});

test('too many at a time in all workers, or short memory: dropped', () => {
  const { sibling, state, take, count } = mirrorOf();
  sibling.mirrorInFlight(1);
  take();
  take();
  assert.equal(count('busy'), 1);
  sibling.mirrorInFlight(-1);
  state.short = true;
  take();
  assert.equal(count('busy'), 2);
});

test('bodies: copied where their length is known and small', () => {
  const { own, state, take, count } = mirrorOf();
  for (const lines of [
    ['Transfer-Encoding: chunked'],
    ['Content-Length: 65537'],
    ['Content-Length: 5', 'Expect: 100-continue'],
  ])
    assert.equal(take(lines, {}, 'POST'), null);
  assert.equal(count('body'), 3);
  const copy = take(['Content-Length: 65536'], {}, 'POST');
  assert.ok(copy !== null);
  assert.equal(own.mirrorsInFlight, 1);
  assert.equal(state.later.length, 0);
  copy.abandon();
  assert.equal(own.mirrorsInFlight, 0);
  const second = take(['Content-Length: 3'], {}, 'POST');
  second?.add(Buffer.from('abc'), 0, 3);
  second?.send();
  assert.equal(state.later.length, 1);
});

test('after it was closed nothing is sent any more', () => {
  const { own, state, mirror, take } = mirrorOf();
  take();
  mirror.close();
  for (const task of state.later) task();
  assert.equal(own.mirrorsInFlight, 0);
});
