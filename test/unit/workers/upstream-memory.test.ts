import assert from 'node:assert/strict';
import { test } from 'node:test';
import { listedEndpoints } from '../../../src/config/variant.ts';
import { serviceSnapshot } from '../../../src/state/build-snapshot.ts';
import type { ServiceSnapshot } from '../../../src/contract/snapshot.ts';
import { createUpstreamMemory } from '../../../src/workers/upstream-memory.ts';
import { GATE_OPEN, LOAD_FIELDS } from '../../../src/upstream/shared-blocks.ts';

function service(stable: string[], canary: string[] = []): ServiceSnapshot {
  const definition = { hosts: ['*'], stable: { endpoints: stable }, canary: { endpoints: canary } };
  return serviceSnapshot(
    { name: 'notes', source: 'file', definition, rollout: null, revision: 1 },
    new Map(),
    () => assert.fail('no file is named'),
    listedEndpoints,
  );
}

test('a service has blocks for its endpoints and workers, with the gate open', () => {
  const memory = createUpstreamMemory(3);
  assert.equal(memory.of('notes'), null);
  memory.allocate([service(['a:1', 'b:1'], ['c:1'])]);
  const { gate, health, loads } = memory.of('notes')!;
  assert.equal(new Int32Array(gate)[0], GATE_OPEN);
  assert.equal(health.byteLength, 3);
  assert.deepEqual(
    loads.map((block) => block.byteLength),
    [0, 1, 2].map(() => 3 * LOAD_FIELDS * 8),
  );
});

test('blocks stay for as long as the endpoints do', () => {
  const memory = createUpstreamMemory(1);
  memory.allocate([service(['a:1'])]);
  const first = memory.of('notes')!;
  memory.allocate([service(['a:1'])]);
  assert.equal(memory.of('notes'), first);
  memory.allocate([service(['a:1', 'b:1'])]);
  const next = memory.of('notes')!;
  assert.notEqual(next.health, first.health);
  assert.equal(next.circuit, first.circuit, 'what is under way stays counted');
  assert.equal(next.gate, first.gate);
});

test('what is known of an endpoint moves with it, not with its place or into the other variant', () => {
  const memory = createUpstreamMemory(1);
  memory.allocate([service(['a:1', 'b:1'], ['c:1'])]);
  new Uint8Array(memory.of('notes')!.health).set([1, 2, 2]);
  memory.allocate([service(['b:1', 'c:1', 'a:1'], ['c:1', 'b:1'])]);
  assert.deepEqual([...new Uint8Array(memory.of('notes')!.health)], [2, 0, 1, 2, 0]);
});
