/** A service with a rollout, as plain data: what benches and tests of the policy alone compile. */
import type { PolicySource } from '../../src/policy/compile.ts';
import type { Phase } from '../../src/policy/rollout.ts';
import type { Rule } from '../../src/policy/schema.ts';

export function policySource(
  rules: readonly Rule[],
  identity: PolicySource['identity'],
  phase: Phase,
): PolicySource {
  return {
    name: 'notes',
    pathPrefix: '/',
    identity,
    cookies: { sameSite: 'Lax', secure: 'auto', partitioned: false, maxAge: 86_400 },
    follow: [],
    settings: { fallbackToStable: true, fallbackToCanary: false },
    revision: 1,
    networks: {},
    rollout: {
      id: 'rollout-1',
      epoch: 1,
      seed: '00112233445566778899aabbccddeeff',
      bucketAlgorithm: 'xxh64-1',
      fingerprintKey: 'k',
      phase,
      document: { rules: [...rules] },
      step: 0,
      startedAt: '2026-01-01T00:00:00Z',
    },
  };
}
