/** How long a client may take for its body: by its silence, by its pace, and never by the endpoint's. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { RequestHead } from '../../../src/http1/request-head.ts';
import { NO_DEADLINE, type ClientSide } from '../../../src/proxy/connection/client-side.ts';
import type { ServiceSettings } from '../../../src/contract/snapshot.ts';
import { ExchangeTimeouts } from '../../../src/proxy/exchange/exchange-timeouts.ts';
import type { WorkerContext } from '../../../src/proxy/worker-context.ts';

const SECOND = 1000;

interface Set {
  readonly timeouts: ExchangeTimeouts;
  /** Milliseconds until the deadline. */
  readonly left: () => number;
  readonly pass: (milliseconds: number) => void;
  readonly now: () => number;
}

function begin({ clientRate = 100, http2 = false } = {}): Set {
  let now = 5 * SECOND;
  let deadline = 0;
  const side = {
    downstream: { http2 },
    setDeadline: (at: number) => void (deadline = at),
  } as unknown as ClientSide;
  const timeouts = new ExchangeTimeouts({ now: () => now } as WorkerContext, { side });
  const settings = {
    requestBodyIdleTimeout: 30 * SECOND,
    responseHeadTimeout: 20 * SECOND,
    tunnelIdleTimeout: 600 * SECOND,
    clientRate,
  } as ServiceSettings;
  timeouts.begin({ seen: () => false } as unknown as RequestHead, settings, false, now);
  return {
    timeouts,
    left: () => deadline - now,
    pass: (milliseconds) => void (now += milliseconds),
    now: () => now,
  };
}

test('a client that sends one byte every ten seconds is cut when its first time is over', () => {
  const { timeouts, left, pass, now } = begin();
  assert.equal(left(), 30 * SECOND);
  for (let sent = 0; sent < 3; sent += 1) {
    pass(10 * SECOND);
    timeouts.forBody(1);
  }
  // Three bytes earned 10 ms each.
  assert.equal(left(), 30);
  pass(30);
  assert.equal(timeouts.slowSender(now()), 'body_slow');
});

test('at the least rate, and in bursts, a body may take for ever', () => {
  const { timeouts, left, pass } = begin();
  for (let sent = 0; sent < 1000; sent += 1) {
    pass(SECOND);
    timeouts.forBody(100);
  }
  assert.equal(left(), 30 * SECOND);
  for (let sent = 0; sent < 100; sent += 1) {
    pass(25 * SECOND);
    timeouts.forBody(2500);
  }
  assert.equal(left(), 30 * SECOND);
});

test('what was sent ahead buys no more than the time of a silence', () => {
  const { timeouts, left, pass, now } = begin();
  timeouts.forBody(1_000_000_000);
  assert.equal(left(), 30 * SECOND);
  pass(30 * SECOND);
  assert.deepEqual([left(), timeouts.slowSender(now())], [0, 'body_silent']);
});

test('without a rate every byte buys the whole time', () => {
  const { timeouts, left, pass } = begin({ clientRate: 0 });
  pass(29 * SECOND);
  timeouts.forBody(1);
  assert.equal(left(), 30 * SECOND);
});

test('while the endpoint reads nothing, the time of the client stands still', () => {
  const { timeouts, left, pass, now } = begin();
  pass(29 * SECOND);
  timeouts.forBody(1);
  assert.equal(left(), SECOND + 10);
  timeouts.endpointStalled(false);
  assert.equal(left(), 30 * SECOND, 'the endpoint has time of its own');
  pass(20 * SECOND);
  timeouts.endpointDrained();
  assert.equal(left(), SECOND + 10);
  assert.equal(timeouts.slowSender(now() + SECOND), 'body_slow');
});

test('an answer that has begun: what comes of it renews the time of the body, and a stalled endpoint has no end', () => {
  const { timeouts, left, pass } = begin();
  pass(29 * SECOND);
  timeouts.forMore(false);
  assert.equal(left(), 30 * SECOND);
  pass(29 * SECOND);
  timeouts.stillAsked(false, 1);
  assert.equal(left(), SECOND + 10);
  timeouts.endpointStalled(true);
  assert.equal(left(), NO_DEADLINE);
  timeouts.stillAsked(true, 1);
  assert.equal(left(), NO_DEADLINE);
});

test('a two-way stream of HTTP/2 that is being answered may be as slow as it likes', () => {
  const { timeouts, left, pass } = begin({ http2: true });
  pass(29 * SECOND);
  timeouts.forBody(1);
  assert.equal(left(), SECOND + 10, 'a body that is not answered yet is no such stream');
  timeouts.forMore(false);
  for (let sent = 0; sent < 3; sent += 1) {
    pass(500 * SECOND);
    timeouts.stillAsked(false, 1);
    assert.equal(left(), 600 * SECOND);
  }
});
