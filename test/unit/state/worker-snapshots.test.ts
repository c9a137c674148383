/** What workers are sent with every write stays small, however many networks a policy names. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ServiceView } from '../../../src/state/service-view.ts';
import { listedEndpoints } from '../../../src/config/variant.ts';
import { buildSnapshot } from '../../../src/state/build-snapshot.ts';
import { compileContext, compilePolicy } from '../../../src/policy/compile.ts';
import { networksKey } from '../../../src/policy/network-lists.ts';
import { compileNetworks, type NetworkSetData } from '../../../src/ip/network.ts';
import type { Phase } from '../../../src/policy/rollout.ts';
import { decideOnce, KEYS, rollout } from '../policy/fixtures.ts';

const networks = Array.from({ length: 20_000 }, (_, index) => `10.${index >> 8}.${index & 255}.0/25`);
const excluded = Array.from({ length: 150 }, (_, index) => `10.0.${index}.64/26`);
const compiled = new Map(
  [networks, excluded].map((list): [string, NetworkSetData] => [networksKey(list), compileNetworks(list)]),
);

function view(phase: Phase): ServiceView {
  const rules = [
    { name: 'many', match: { cidr: networks }, percentage: 100 },
    { name: 'few', match: { cidr: ['192.0.2.0/24'] }, percentage: 100 },
  ];
  return {
    name: 'notes',
    source: 'file',
    definition: { hosts: ['*'], stable: { endpoints: ['10.1.0.7:80'] } },
    rollout: rollout(rules, { phase }, [{ name: 'not', match: { cidr: excluded } }]),
    revision: 1,
  };
}

const snapshotOf = (phase: Phase, ahead: ReadonlyMap<string, NetworkSetData> = compiled) =>
  buildSnapshot({
    revision: 1,
    configuration: {},
    services: [view(phase)],
    keys: KEYS,
    regionDatabase: null,
    credential: () => assert.fail('no file is named'),
    networks: ahead,
    endpoints: listedEndpoints,
  });

const variantFor = (snapshot: ReturnType<typeof snapshotOf>, address: string): string => {
  const policy = compilePolicy(snapshot.services[0]!, compileContext(snapshot));
  return decideOnce(policy, { client: address }).variant;
};

test('long lists of networks are not copied to the workers, which decide the same by what was compiled', () => {
  const snapshot = snapshotOf('running');
  assert.ok(JSON.stringify(snapshot.services[0]!.rollout).length < 2000);
  for (const [address, variant] of [
    ['10.1.2.3', 'canary'],
    ['10.1.2.200', 'stable'],
    ['10.0.7.70', 'stable'],
    ['192.0.2.9', 'canary'],
    ['203.0.113.1', 'stable'],
  ] as const)
    assert.equal(variantFor(snapshot, address), variant, address);
});

test('a list that was not compiled ahead goes along, and one of a rollout that is over does not', () => {
  assert.equal(variantFor(snapshotOf('running', new Map()), '10.1.2.3'), 'canary');
  assert.ok(JSON.stringify(snapshotOf('rolledBack')).length < 10_000);
  assert.equal(variantFor(snapshotOf('rolledBack'), '10.1.2.3'), 'stable');
});
