import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { EndpointView } from '../../../src/control/api.ts';
import { listedEndpoints } from '../../../src/config/variant.ts';
import { createCanaryGuard } from '../../../src/control/canary-guard.ts';
import type { Standing } from '../../../src/upstream/standing.ts';
import { CONFIGURATION, problem, type Reply, ROLLOUT, RULES, startApi } from '../../support/admin-api.ts';

const STABLE = { endpoints: ['10.1.0.1:80'] };
const CANARY = { hosts: ['*'], stable: STABLE, canary: { endpoints: ['10.1.0.2:80', '10.1.0.3:80'] } };

function guardWith(
  standings: readonly Standing[],
  breaker = 'closed',
  variant: 'stable' | 'canary' = 'canary',
) {
  const views = standings.map((standing, index) => ({
    service: 'notes',
    variant,
    address: `10.1.0.${index + 2}:80`,
    standing,
  }));
  return createCanaryGuard({
    discovery: { endpoints: listedEndpoints },
    endpoints: () => views as unknown as EndpointView[],
    breaker: () => breaker,
  });
}

const warningsOf = ({ body }: Reply): unknown => (body as { warnings?: unknown }).warnings;

test('a canary can be given while one of its endpoints is not known to be bad, and its breaker is not open', () => {
  for (const standings of [[], ['good'], ['ejected'], ['down', 'good']] as const)
    assert.equal(guardWith(standings)('notes', CANARY), null);
  assert.equal(guardWith(['down', 'down'], 'closed', 'stable')('notes', CANARY), null);
  assert.equal(guardWith([], 'halfOpen')('notes', CANARY), null);
  const fault = guardWith(['ejected', 'unhealthy'])('notes', CANARY);
  assert.deepEqual(fault?.figures, { usable: 0, endpoints: 2 });
  assert.match(
    fault.detail,
    /none of the 2 endpoints of the canary of "notes" is usable \(10\.1\.0\.2:80 is ejected\)/,
  );
  assert.match(guardWith([], 'open')('notes', CANARY)?.detail ?? '', /breaker .* is open/);
  for (const definition of [
    { hosts: ['*'], stable: STABLE },
    { hosts: ['*'], stable: STABLE, canary: { endpoints: [] } },
  ])
    assert.deepEqual(guardWith([])('notes', definition)?.figures, { usable: 0, endpoints: 0 });
});

test('promote is refused without a canary; what gives it to nobody is accepted with a warning', async () => {
  const { stable, hosts } = CONFIGURATION.services!['notes']!;
  const { call } = await startApi({ ...CONFIGURATION, services: { notes: { stable, hosts } } });
  const warned = (reply: Reply): void => {
    assert.equal(reply.status, 202);
    assert.match(
      JSON.stringify(warningsOf(reply)),
      /Nobody gets the canary for now: no endpoint of the canary of/,
    );
  };
  warned(await call('PUT', ROLLOUT, { ...RULES, steps: [{ percentage: 60 }] }));
  warned(await call('POST', `${ROLLOUT}/percentage`, { percentage: 50 }));
  warned(await call('POST', `${ROLLOUT}/step`, { from: 50 }));
  const paused = await call('POST', `${ROLLOUT}/pause`, {});
  assert.deepEqual(warningsOf(paused), []);
  warned(await call('POST', `${ROLLOUT}/resume`, {}));
  const refused = await call('POST', `${ROLLOUT}/promote`, {});
  problem(refused, 409, 'canary_not_ready');
  assert.match(JSON.stringify(refused.body), /"usable":0/);
  const lowered = await call('POST', `${ROLLOUT}/percentage`, { percentage: 0, allowDecrease: true });
  assert.deepEqual(warningsOf(lowered), []);
});
