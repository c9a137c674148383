import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { compilePolicy, type CompiledPolicy, type PolicyContext } from '../../src/policy/compile.ts';
import { decide } from '../../src/policy/decide.ts';
import { newDecision } from '../../src/policy/decision.ts';
import { explain } from '../../src/policy/explain.ts';
import { compileNetworks } from '../../src/ip/network.ts';
import type { ExcludeRule, Rule } from '../../src/policy/schema.ts';
import { readableText } from '../../src/schema/latin1.ts';
import {
  context,
  decideOnce,
  facts,
  idOf,
  mint,
  mintedCookie,
  NOW,
  rollout,
  service,
  type Request,
} from '../unit/policy/fixtures.ts';
import { anyRequest, excludesOf, rulesOf, userMatch } from '../unit/policy/generators.ts';
import { processDigest } from './process-digest.ts';

const segments = {
  office: compileNetworks(['203.0.113.0/24', '2001:db8::/32']),
  lab: compileNetworks(['10.0.0.0/8', '203.0.113.128/25']),
};
const chain = [
  { header: 'x-user-id' },
  { cookie: 'uid' },
  { cookie: 'serin_id', mint: true },
  { fingerprint: true },
] as const;

function compiled(
  rules: readonly Rule[],
  exclude: readonly ExcludeRule[],
  within: PolicyContext,
): CompiledPolicy {
  return compilePolicy(service({ rollout: rollout(rules, {}, exclude), identity: chain }), within);
}

/** Adds an identity of one of the tiers, or none. */
const anyUser = fc.tuple(anyRequest, fc.nat(3), fc.nat(2000));

function identified(
  [request, tier, number]: readonly [Request, number, number],
  policy: CompiledPolicy,
): Request {
  const { headers, cookies } = request;
  if (tier === 0) return { ...request, headers: { ...headers, 'x-user-id': `zo\xc3\xab ${number}` } };
  if (tier === 1) return { ...request, cookies: { ...cookies, uid: `u${number}` } };
  return tier === 2
    ? { ...request, cookies: { ...cookies, serin_id: mintedCookie(policy, idOf(number)) } }
    : request;
}

const one = context({ segments });

test('decide and explain agree, on the decision and on which rule it is', () => {
  fc.assert(
    fc.property(
      rulesOf(userMatch),
      excludesOf(userMatch),
      fc.array(anyUser, { minLength: 1, maxLength: 5 }),
      (rules, exclude, requests) => {
        const policy = compiled(rules, exclude, one);
        for (const given of requests) {
          const request = identified(given, policy);
          const decided = decide(policy, facts(request), 3, NOW, () => idOf(1), newDecision());
          const { path = '/', query = '', method = 'GET', client = '', headers = {}, cookies = {} } = request;
          const described = {
            method,
            path: query === '' ? path : `${path}?${query}`,
            headers: {
              ...Object.fromEntries(
                Object.entries(headers).map(([name, value]) => [name, readableText(value)]),
              ),
              cookie: Object.entries(cookies).map(([name, value]) => `${name}=${String(value)}`),
            },
            clientAddress: client,
            peerAddress: '10.0.0.1',
          };
          const explained = explain(policy, described, { nowSeconds: NOW, random: () => idOf(1) });
          assert.deepEqual(explained.decision, decided);
          // The rules as explained lead to the same answer: the first that matches and admits.
          const vetoed = explained.exclude.find(({ matches }) => matches);
          const admitting = explained.rules.find(({ matches, admitsBucket }) => matches && admitsBucket);
          assert.equal(decided.rule, vetoed?.name ?? admitting?.name ?? '');
          assert.equal(
            decided.variant,
            vetoed === undefined && admitting !== undefined ? 'canary' : 'stable',
          );
        }
      },
    ),
    { numRuns: 300 },
  );
});

test('two workers decide alike, whatever each has seen before', () => {
  const two = context({ segments });
  fc.assert(
    fc.property(
      rulesOf(userMatch),
      excludesOf(userMatch),
      fc.array(anyUser, { minLength: 1, maxLength: 8 }),
      (rules, exclude, requests) => {
        const first = compiled(rules, exclude, one);
        const second = compiled(rules, exclude, two);
        for (const given of requests) decideOnce(second, identified(given, first));
        for (const given of requests) {
          const request = identified(given, first);
          const id = mint();
          const a = decide(first, facts(request), 3, NOW, () => id, newDecision());
          const b = decide(second, facts(request), 3, NOW, () => id, newDecision());
          assert.deepEqual(a, b);
        }
      },
    ),
    { numRuns: 300 },
  );
});

test('a fresh process with the same keys decides alike, cookies included', () => {
  const script = fileURLToPath(new URL('process-digest.ts', import.meta.url));
  const { stdout, stderr, status } = spawnSync(process.execPath, [script], {
    encoding: 'utf8',
    timeout: 180_000,
  });
  assert.equal(status, 0, stderr);
  assert.equal(stdout.trim(), processDigest());
});
