import assert from 'node:assert/strict';
import { test } from 'node:test';
import { listedEndpoints } from '../../../src/config/variant.ts';
import { buildSnapshot } from '../../../src/state/build-snapshot.ts';
import { compileRouting, type Routing, type RoutingSource } from '../../../src/proxy/routing.ts';
import type { Snapshot } from '../../../src/contract/snapshot.ts';
import { createUpstreamMemory } from '../../../src/workers/upstream-memory.ts';
import { newServiceCounters } from '../telemetry/fake-source.ts';
import { blocksOf } from '../../../src/upstream/shared-blocks.ts';

const memory = createUpstreamMemory(1);
let clock = 1000;

const source = {
  worker: 0,
  monotonicNow: () => clock,
  countersOf: newServiceCounters,
  blocksOf: (service: string) => blocksOf(memory.of(service)!, 0),
} as unknown as RoutingSource;

type Endpoints = (string | { address: string; weight: number })[];

function route(previous: Routing | null, stable: Endpoints, canary: Endpoints = []): Routing {
  const definition = { hosts: ['*'], stable: { endpoints: stable }, canary: { endpoints: canary } };
  const snapshot: Snapshot = buildSnapshot({
    revision: 1,
    configuration: {},
    services: [{ name: 'notes', source: 'file', definition, rollout: null, revision: 1 }],
    keys: [{ id: 'k1', secret: new Uint8Array(32) }],
    regionDatabase: null,
    credential: () => assert.fail('no file is named'),
    networks: new Map(),
    endpoints: listedEndpoints,
  });
  memory.allocate(snapshot.services);
  return compileRouting(snapshot, previous, source);
}

test('endpoints of the first snapshot need no slow start, those that join others do, those of an empty variant do not', () => {
  const first = route(null, ['a:1', 'b:1']);
  const [a] = first.services[0]!.stable;
  assert.equal(a!.usedSince, Number.NEGATIVE_INFINITY);
  clock = 5000;
  const next = route(first, ['c:1', { address: 'a:1', weight: 7 }], ['d:1']);
  const [c, again] = next.services[0]!.stable;
  assert.equal(again, a, 'it goes on with what is known of it');
  assert.equal(again!.weight, 7);
  assert.equal(again!.usedSince, Number.NEGATIVE_INFINITY);
  assert.equal(c!.usedSince, 5000);
  assert.equal(next.services[0]!.canary[0]!.usedSince, Number.NEGATIVE_INFINITY);
  assert.equal(first.services[0]!.stable[1]!.retired, true);
  assert.equal(a!.retired, false);
});
