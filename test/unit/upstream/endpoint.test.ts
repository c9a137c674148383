import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { Endpoint } from '../../../src/upstream/endpoint.ts';
import { PLAIN } from '../../../src/upstream/transport.ts';
import { OUTLIER } from './support.ts';

const DECAY = 10_000;

test('the first latency counts whole, a rise at once, a fall by and by', () => {
  const endpoint = new Endpoint('127.0.0.1', 1);
  endpoint.observeLatency(5, 1000, DECAY);
  assert.equal(endpoint.latency, 5);
  endpoint.observeLatency(50, 1001, DECAY);
  assert.equal(endpoint.latency, 50);
  endpoint.observeLatency(5, 1002, DECAY);
  assert.ok(endpoint.latency < 50 && endpoint.latency > 49.9);
  for (let now = 1100; now <= 61_000; now += 100) endpoint.observeLatency(5, now, DECAY);
  assert.ok(endpoint.latency > 5 && endpoint.latency < 5.3, String(endpoint.latency));
});

test('averaged in small steps, it falls as an exponential average does', () => {
  const endpoint = new Endpoint('127.0.0.1', 1);
  endpoint.observeLatency(100, 1, DECAY);
  for (let now = 11; now <= 10_001; now += 10) endpoint.observeLatency(0, now, DECAY);
  assert.ok(Math.abs(endpoint.latency - 100 / Math.E) < 0.1, String(endpoint.latency));
});

test('an estimate stays between the lowest and the highest latency that it was made of', () => {
  const step = fc.record({ ms: fc.double({ min: 0, max: 1e5, noNaN: true }), wait: fc.nat(60_000) });
  fc.assert(
    fc.property(fc.array(step, { minLength: 1, maxLength: 50 }), (steps) => {
      const endpoint = new Endpoint('127.0.0.1', 1);
      let now = 1;
      for (const { ms, wait } of steps) endpoint.observeLatency(ms, (now += wait), DECAY);
      const all = steps.map(({ ms }) => ms);
      assert.ok(endpoint.latency >= Math.min(...all) - 1e-9 && endpoint.latency <= Math.max(...all));
      assert.ok(endpoint.latency >= all.at(-1)! - 1e-9);
    }),
  );
});

test('without news it sinks, but never to nothing; what was only begun can but raise it', () => {
  const endpoint = new Endpoint('127.0.0.1', 1);
  endpoint.observeLatency(100, 1, DECAY);
  endpoint.forgetLatency(0.5);
  assert.equal(endpoint.latency, 50);
  endpoint.observeAtLeast(1, 2);
  assert.ok(endpoint.latency > 30);
  endpoint.observeAtLeast(500, 3);
  assert.equal(endpoint.latency, 500);
  endpoint.forgetLatency(0);
  assert.ok(endpoint.latency > 0);
});

test('the cost is the latency times the requests that are there, by weight', () => {
  const endpoint = new Endpoint('127.0.0.1', 1);
  endpoint.latency = 10;
  assert.equal(endpoint.cost, 10);
  endpoint.inFlight = 4;
  endpoint.loadFactor = 0.5;
  assert.equal(endpoint.cost, 30);
});

test('another transport is a fresh start, the same one is none', () => {
  const transport = (id: string) => ({ ...PLAIN, id });
  const endpoint = new Endpoint('192.0.2.1', 443, transport('old'));
  const fail = () => {
    endpoint.markDown(1000);
    endpoint.outlier.eject(1000, OUTLIER);
  };
  fail();
  endpoint.useTransport(transport('old'));
  assert.deepEqual([endpoint.isUp(1001), endpoint.outlier.ejected], [false, true]);
  endpoint.useTransport(transport('new'));
  assert.deepEqual([endpoint.isUp(1001), endpoint.outlier.ejected], [true, false]);
  assert.equal(endpoint.transport.id, 'new');
});
