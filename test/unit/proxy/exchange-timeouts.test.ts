/** How long a client may take for its body and its answer: by its silence, by its pace, and never by the endpoint's; and how long a gRPC call may. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { F } from '../../../src/http1/fields.ts';
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
  readonly monotonicNow: () => number;
  /** The next request of the same connection, with these fields. */
  readonly next: (sent: Readonly<Record<string, string>>) => void;
  /** What the kernel has not taken of the answer. */
  readonly socket: { writableLength: number };
}

interface Begun {
  readonly clientRate?: number;
  readonly http2?: boolean;
  readonly fields?: Readonly<Record<string, string>>;
  readonly bodyDone?: boolean;
}

function begin({ clientRate = 100, http2 = false, fields = {}, bodyDone = false }: Begun = {}): Set {
  let now = 5 * SECOND;
  let deadline = 0;
  const socket = { writableLength: 0 };
  const side = {
    downstream: { http2 },
    socket,
    setDeadline: (at: number) => void (deadline = at),
  } as unknown as ClientSide;
  const timeouts = new ExchangeTimeouts({ monotonicNow: () => now } as WorkerContext, { side });
  const settings = {
    requestBodyIdleTimeout: 30 * SECOND,
    responseHeadTimeout: 20 * SECOND,
    responseIdleTimeout: 10 * SECOND,
    tunnelIdleTimeout: 600 * SECOND,
    clientRate,
  } as ServiceSettings;
  const headWith = (sent: Readonly<Record<string, string>>): RequestHead =>
    ({
      seen: (field: number) => field === F.CONTENT_TYPE && 'content-type' in sent,
      header: (name: string) => sent[name],
    }) as unknown as RequestHead;
  timeouts.begin(headWith(fields), settings, bodyDone, now);
  return {
    timeouts,
    left: () => deadline - now,
    pass: (milliseconds) => void (now += milliseconds),
    next: (sent) => timeouts.begin(headWith(sent), settings, bodyDone, now),
    monotonicNow: () => now,
    socket,
  };
}

test('a client that sends one byte every ten seconds is cut when its first time is over', () => {
  const { timeouts, left, pass, monotonicNow } = begin();
  assert.equal(left(), 30 * SECOND);
  for (let sent = 0; sent < 3; sent += 1) {
    pass(10 * SECOND);
    timeouts.forBody(1);
  }
  // Three bytes earned 10 ms each.
  assert.equal(left(), 30);
  pass(30);
  assert.equal(timeouts.slowSender(monotonicNow()), 'body_slow');
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
  const { timeouts, left, pass, monotonicNow } = begin();
  timeouts.forBody(1_000_000_000);
  assert.equal(left(), 30 * SECOND);
  pass(30 * SECOND);
  assert.deepEqual([left(), timeouts.slowSender(monotonicNow())], [0, 'body_silent']);
});

test('a client of whose body nothing came is silent', () => {
  const { timeouts, left, pass, monotonicNow } = begin();
  pass(30 * SECOND);
  assert.deepEqual([left(), timeouts.slowSender(monotonicNow())], [0, 'body_silent']);
});

test('a client that is cut before it may be silent for so long was slow, from the beginning on', () => {
  const { timeouts, pass, monotonicNow } = begin();
  pass(29 * SECOND);
  assert.equal(timeouts.slowSender(monotonicNow()), 'body_slow');
});

test('without a rate every byte buys the whole time', () => {
  const { timeouts, left, pass } = begin({ clientRate: 0 });
  pass(29 * SECOND);
  timeouts.forBody(1);
  assert.equal(left(), 30 * SECOND);
});

test('while the endpoint reads nothing, the time of the client stands still', () => {
  const { timeouts, left, pass, monotonicNow } = begin();
  pass(29 * SECOND);
  timeouts.forBody(1);
  assert.equal(left(), SECOND + 10);
  timeouts.endpointStalled(false);
  assert.equal(left(), 30 * SECOND, 'the endpoint has time of its own');
  pass(20 * SECOND);
  timeouts.endpointDrained();
  assert.equal(left(), SECOND + 10);
  // The endpoint read nothing for longer than a client may be silent: that was not its silence.
  timeouts.endpointStalled(false);
  pass(29 * SECOND);
  timeouts.endpointDrained();
  assert.equal(timeouts.slowSender(monotonicNow() + SECOND), 'body_slow');
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

test('a stream of HTTP/2 whose endpoint reads nothing ends when neither side has said anything for long', () => {
  const { timeouts, left } = begin({ http2: true });
  timeouts.endpointStalled(true);
  assert.equal(left(), 600 * SECOND);
});

test('once the body is complete, the answer may take the time of an answer', () => {
  assert.equal(begin({ bodyDone: true }).left(), 20 * SECOND);
  assert.equal(begin().left(), 30 * SECOND);
});

const GRPC = { 'content-type': 'application/grpc+proto' };

test('a gRPC call has the time that its client gives it, in the units of gRPC, and a second more', () => {
  for (const [timeout, time] of [
    ['2H', 7_200_000],
    ['3M', 180_000],
    ['4S', 4000],
    ['5m', 5],
    ['6000u', 6],
    ['7000000n', 7],
    ['99999999H', 99_999_999 * 3_600_000],
    ['0S', 0],
  ] as const) {
    for (const bodyDone of [true, false]) {
      const fields = { ...GRPC, 'grpc-timeout': timeout };
      const { timeouts, left } = begin({ http2: true, fields, bodyDone });
      assert.equal(left(), time + SECOND, timeout);
      assert.equal(timeouts.call, true);
    }
  }
});

test('a call without such a time, or with one that is none, ends when it is silent for as long as a stream may be', () => {
  const none = ['', '5', 'S', '5s', '-5S', '5.5S', '123456789S', '5S '].map((timeout) => ({
    ...GRPC,
    'grpc-timeout': timeout,
  }));
  for (const fields of [GRPC, ...none])
    assert.equal(begin({ http2: true, fields }).left(), 600 * SECOND, JSON.stringify(fields));
});

test('neither a gRPC content over HTTP/1.1 nor another content over HTTP/2 is a call', () => {
  const timeout = { 'grpc-timeout': '2H' };
  for (const one of [
    begin({ fields: { ...GRPC, ...timeout } }),
    begin({ http2: true, fields: { ...timeout, 'content-type': 'application/json' } }),
    begin({ http2: true, fields: timeout }),
  ])
    assert.deepEqual([one.timeouts.call, one.left()], [false, 30 * SECOND]);
});

test('each message of a call renews its time, and an endpoint that reads nothing does not shorten it', () => {
  const { timeouts, left, pass } = begin({ http2: true, fields: { ...GRPC, 'grpc-timeout': '60S' } });
  pass(50 * SECOND);
  timeouts.forBody(1);
  assert.equal(left(), 61 * SECOND);
  timeouts.endpointStalled(false);
  assert.equal(left(), 61 * SECOND);
  pass(SECOND);
  timeouts.endpointDrained();
  assert.equal(left(), 60 * SECOND);
});

test('the request after a call is none', () => {
  const { timeouts, next } = begin({ http2: true, fields: GRPC });
  assert.equal(timeouts.call, true);
  next({});
  assert.equal(timeouts.call, false);
});

test('a reader has as much time again while it takes its answer at the least rate, on average', () => {
  const { timeouts, left, pass, socket } = begin();
  socket.writableLength = 5000;
  timeouts.forReader();
  assert.equal(left(), 10 * SECOND);
  for (let turn = 0; turn < 4; turn += 1) {
    pass(10 * SECOND);
    socket.writableLength -= 1000;
    assert.equal(timeouts.slowReader(), null);
    assert.equal(left(), 10 * SECOND);
  }
  pass(10 * SECOND);
  socket.writableLength -= 999;
  assert.equal(timeouts.slowReader(), 'answer_slow');
});

test('a reader that takes nothing is told apart, also where no rate is asked for', () => {
  for (const clientRate of [0, 100]) {
    const { timeouts, pass, socket } = begin({ clientRate });
    socket.writableLength = 5000;
    timeouts.forReader();
    pass(10 * SECOND);
    assert.equal(timeouts.slowReader(), 'answer_unread');
  }
  const { timeouts, socket } = begin({ clientRate: 0 });
  socket.writableLength = 5000;
  timeouts.forReader();
  socket.writableLength = 4999;
  assert.equal(timeouts.slowReader(), null);
});
