import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { breakerRefuses } from '../../../src/proxy/exchange/breaker-gate.ts';
import type { ServiceRoute } from '../../../src/proxy/routing.ts';
import { type Decision, newDecision } from '../../../src/policy/decision.ts';
import { GATE_OPEN } from '../../../src/upstream/shared-blocks.ts';

function route(gate: number, fallbackToStable = true, usable = true): ServiceRoute {
  const parts = { gate: Int32Array.of(gate), settings: { fallbackToStable }, upstreams: [{ usable }] };
  return parts as unknown as ServiceRoute;
}

const decision = (changes: Partial<Decision> = {}): Decision => ({
  ...newDecision(),
  variant: 'canary',
  assigned: 'canary',
  reason: 'rule',
  bucket: 500,
  ...changes,
});

const noChance = (): number => assert.fail('chance decides nothing here');

test('exactly the buckets below the gate come in', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: GATE_OPEN }), fc.nat(GATE_OPEN - 1), (gate, bucket) => {
      assert.equal(breakerRefuses(route(gate), decision({ bucket }), noChance), bucket >= gate);
    }),
  );
});

test('closed it holds nobody back, open everybody', () => {
  assert.equal(breakerRefuses(route(GATE_OPEN), decision({ bucket: 999_999 }), noChance), false);
  assert.equal(breakerRefuses(route(0), decision({ bucket: 0 }), noChance), true);
});

test('a request without a bucket comes in by chance, with the share of the gate', () => {
  const promoted = decision({ reason: 'promoted', bucket: -1 });
  assert.equal(
    breakerRefuses(route(250_000), promoted, () => 0.24),
    false,
  );
  assert.equal(
    breakerRefuses(route(250_000), promoted, () => 0.26),
    true,
  );
});

test('nobody is held back by token, from a fallback, or where stable cannot serve', () => {
  assert.equal(breakerRefuses(route(0), decision({ reason: 'override' }), noChance), false);
  assert.equal(breakerRefuses(route(0), decision({ fallback: true }), noChance), false);
  assert.equal(breakerRefuses(route(0, false), decision(), noChance), false);
  assert.equal(breakerRefuses(route(0, true, false), decision(), noChance), false);
});
