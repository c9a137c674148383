/** How long a client may take for its body and its answer: by its silence, by its pace, and never by the endpoint's; and how long a gRPC call may. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { F } from '../../../src/http1/fields.ts';
import type { RequestHead } from '../../../src/http1/request-head.ts';
import { NO_DEADLINE, type ClientSide } from '../../../src/proxy/connection/client-side.ts';
import type { ServiceSettings } from '../../../src/contract/snapshot.ts';
import { Waits } from '../../../src/proxy/exchange/exchange-timeouts.ts';
import type { WorkerContext } from '../../../src/proxy/worker-context.ts';

const SECOND = 1000;

interface Set {
  readonly waits: Waits;
  /** Milliseconds until the deadline. */
  readonly left: () => number;
  readonly pass: (milliseconds: number) => void;
  readonly now: () => number;
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
  const waits = new Waits({ now: () => now } as WorkerContext);
  waits.attach({
    arrival: { http2 },
    socket,
    setDeadline: (at: number) => void (deadline = at),
  } as unknown as ClientSide);
  const settings = {
    requestBodyIdleTimeout: 30 * SECOND,
    responseHeadTimeout: 20 * SECOND,
    responseIdleTimeout: 10 * SECOND,
    tunnelIdleTimeout: 600 * SECOND,
    clientRate,
  } as ServiceSettings;
  const head = {
    seen: (field: number) => field === F.CONTENT_TYPE && 'content-type' in fields,
    header: (name: string) => fields[name],
  } as unknown as RequestHead;
  waits.begin(head, settings, bodyDone, now);
  return {
    waits,
    left: () => deadline - now,
    pass: (milliseconds) => void (now += milliseconds),
    now: () => now,
    socket,
  };
}

test('a client that sends one byte every ten seconds is cut when its first time is over', () => {
  const { waits, left, pass, now } = begin();
  assert.equal(left(), 30 * SECOND);
  for (let sent = 0; sent < 3; sent += 1) {
    pass(10 * SECOND);
    waits.forBody(1);
  }
  // Three bytes earned 10 ms each.
  assert.equal(left(), 30);
  pass(30);
  assert.equal(waits.slowSender(now()), 'body_slow');
});

test('at the least rate, and in bursts, a body may take for ever', () => {
  const { waits, left, pass } = begin();
  for (let sent = 0; sent < 1000; sent += 1) {
    pass(SECOND);
    waits.forBody(100);
  }
  assert.equal(left(), 30 * SECOND);
  for (let sent = 0; sent < 100; sent += 1) {
    pass(25 * SECOND);
    waits.forBody(2500);
  }
  assert.equal(left(), 30 * SECOND);
});

test('what was sent ahead buys no more than the time of a silence', () => {
  const { waits, left, pass, now } = begin();
  waits.forBody(1_000_000_000);
  assert.equal(left(), 30 * SECOND);
  pass(30 * SECOND);
  assert.deepEqual([left(), waits.slowSender(now())], [0, 'body_silent']);
});

test('a client of whose body nothing came is silent', () => {
  const { waits, left, pass, now } = begin();
  pass(30 * SECOND);
  assert.deepEqual([left(), waits.slowSender(now())], [0, 'body_silent']);
});

test('a client that is cut before it may be silent for so long was slow, from the beginning on', () => {
  const { waits, pass, now } = begin();
  pass(29 * SECOND);
  assert.equal(waits.slowSender(now()), 'body_slow');
});

test('without a rate every byte buys the whole time', () => {
  const { waits, left, pass } = begin({ clientRate: 0 });
  pass(29 * SECOND);
  waits.forBody(1);
  assert.equal(left(), 30 * SECOND);
});

test('while the endpoint reads nothing, the time of the client stands still', () => {
  const { waits, left, pass, now } = begin();
  pass(29 * SECOND);
  waits.forBody(1);
  assert.equal(left(), SECOND + 10);
  waits.endpointStalled(false);
  assert.equal(left(), 30 * SECOND, 'the endpoint has time of its own');
  pass(20 * SECOND);
  waits.endpointDrained();
  assert.equal(left(), SECOND + 10);
  // The endpoint read nothing for longer than a client may be silent: that was not its silence.
  waits.endpointStalled(false);
  pass(29 * SECOND);
  waits.endpointDrained();
  assert.equal(waits.slowSender(now() + SECOND), 'body_slow');
});

test('an answer that has begun: what comes of it renews the time of the body, and a stalled endpoint has no end', () => {
  const { waits, left, pass } = begin();
  pass(29 * SECOND);
  waits.forMore(false);
  assert.equal(left(), 30 * SECOND);
  pass(29 * SECOND);
  waits.stillAsked(false, 1);
  assert.equal(left(), SECOND + 10);
  waits.endpointStalled(true);
  assert.equal(left(), NO_DEADLINE);
  waits.stillAsked(true, 1);
  assert.equal(left(), NO_DEADLINE);
});

test('a two-way stream of HTTP/2 that is being answered may be as slow as it likes', () => {
  const { waits, left, pass } = begin({ http2: true });
  pass(29 * SECOND);
  waits.forBody(1);
  assert.equal(left(), SECOND + 10, 'a body that is not answered yet is no such stream');
  waits.forMore(false);
  for (let sent = 0; sent < 3; sent += 1) {
    pass(500 * SECOND);
    waits.stillAsked(false, 1);
    assert.equal(left(), 600 * SECOND);
  }
});

test('a stream of HTTP/2 whose endpoint reads nothing ends when neither side has said anything for long', () => {
  const { waits, left } = begin({ http2: true });
  waits.endpointStalled(true);
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
      const { waits, left } = begin({ http2: true, fields, bodyDone });
      assert.equal(left(), time + SECOND, timeout);
      assert.equal(waits.call, true);
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
    assert.deepEqual([one.waits.call, one.left()], [false, 30 * SECOND]);
});

test('each message of a call renews its time, and an endpoint that reads nothing does not shorten it', () => {
  const { waits, left, pass } = begin({ http2: true, fields: { ...GRPC, 'grpc-timeout': '60S' } });
  pass(50 * SECOND);
  waits.forBody(1);
  assert.equal(left(), 61 * SECOND);
  waits.endpointStalled(false);
  assert.equal(left(), 61 * SECOND);
  pass(SECOND);
  waits.endpointDrained();
  assert.equal(left(), 60 * SECOND);
});

test('the request after a call is none', () => {
  const { waits } = begin({ http2: true, fields: GRPC });
  waits.attach({ arrival: { http2: true } } as unknown as ClientSide);
  assert.equal(waits.call, false);
});

test('a reader has as much time again while it takes its answer at the least rate, on average', () => {
  const { waits, left, pass, socket } = begin();
  socket.writableLength = 5000;
  waits.forReader();
  assert.equal(left(), 10 * SECOND);
  for (let turn = 0; turn < 4; turn += 1) {
    pass(10 * SECOND);
    socket.writableLength -= 1000;
    assert.equal(waits.slowReader(), null);
    assert.equal(left(), 10 * SECOND);
  }
  pass(10 * SECOND);
  socket.writableLength -= 999;
  assert.equal(waits.slowReader(), 'answer_slow');
});

test('a reader that takes nothing is told apart, also where no rate is asked for', () => {
  for (const clientRate of [0, 100]) {
    const { waits, pass, socket } = begin({ clientRate });
    socket.writableLength = 5000;
    waits.forReader();
    pass(10 * SECOND);
    assert.equal(waits.slowReader(), 'answer_unread');
  }
  const { waits, socket } = begin({ clientRate: 0 });
  socket.writableLength = 5000;
  waits.forReader();
  socket.writableLength = 4999;
  assert.equal(waits.slowReader(), null);
});
