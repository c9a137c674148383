import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { compilePolicy, type CompiledPolicy } from '../../src/policy/compile.ts';
import { FlipTable } from '../../src/policy/flip.ts';
import { compileNetworks } from '../../src/ip/network.ts';
import type { ExcludeRule, Rule } from '../../src/policy/schema.ts';
import {
  Browser,
  context,
  idOf,
  mintedCookie,
  openMemory,
  rollout,
  service,
  type Request,
} from '../unit/policy/fixtures.ts';
import { anyMatch, anyRequest, excludesOf, rulesOf, userMatch } from '../unit/policy/generators.ts';
import { sharedCopy, writeMmdb } from '../support/mmdb-writer.ts';

const within = context({
  segments: {
    office: compileNetworks(['203.0.113.0/24', '2001:db8::/32']),
    lab: compileNetworks(['10.0.0.0/8', '203.0.113.128/25']),
  },
  regionDatabase: sharedCopy(
    writeMmdb(
      [
        [
          '10.0.0.0/9',
          {
            country: { iso_code: 'CN' },
            subdivisions: [{ iso_code: 'SH' }],
            city: { names: { en: 'Shanghai' } },
          },
        ],
      ],
      { recordSize: 28, ipVersion: 6 },
    ),
  ),
});

function compiled(
  rules: readonly Rule[],
  exclude: readonly ExcludeRule[] = [],
  over: object = {},
): CompiledPolicy {
  return compilePolicy(service({ rollout: rollout(rules, {}, exclude), ...over }), within);
}

/** What a browser with a known id gets for the request, with the cookies it has. */
function known(policy: CompiledPolicy, number: number): Browser {
  return new Browser({ cookies: { serin_id: mintedCookie(policy, idOf(number)) } });
}

function send(browser: Browser, policy: CompiledPolicy, request: Request): string {
  const { serin_id: id = '' } = browser.request.cookies ?? {};
  return browser.send(policy, { ...request, cookies: { ...request.cookies, serin_id: id } }).variant;
}

const user = fc.nat(5000);

test('raising percentages and adding rules never moves anybody out of the canary, without latches', () => {
  fc.assert(
    fc.property(
      rulesOf(anyMatch),
      rulesOf(anyMatch),
      fc.array(fc.nat(100), { minLength: 8, maxLength: 8 }),
      fc.array(anyRequest, { minLength: 1, maxLength: 6 }),
      user,
      (rules, added, raises, requests, number) => {
        const before = compiled(rules);
        const raised = rules.map((rule, index) => ({
          ...rule,
          percentage: Math.min(100, rule.percentage + raises[index]!),
        }));
        const more = added.map((rule) => ({ ...rule, name: `added ${rule.name}` }));
        for (const after of [
          compiled(raised),
          compiled([...rules, ...more]),
          compiled([...more, ...raised]),
        ]) {
          for (const request of requests) {
            if (send(known(before, number), before, request) === 'canary') {
              assert.equal(send(known(after, number), after, request), 'canary');
            }
          }
        }
      },
    ),
    { numRuns: 300 },
  );
});

test('whoever was admitted stays through every change of attributes and every raise, by the latch', () => {
  fc.assert(
    fc.property(
      rulesOf(userMatch),
      fc.array(fc.tuple(anyRequest, fc.nat(30)), { minLength: 2, maxLength: 10 }),
      user,
      (rules, steps, number) => {
        const browser = known(compiled(rules), number);
        let current = rules;
        let admitted = false;
        for (const [request, raise] of steps) {
          current = current.map((rule) => ({ ...rule, percentage: Math.min(100, rule.percentage + raise) }));
          const variant = send(browser, compiled(current), request);
          if (admitted) assert.equal(variant, 'canary');
          admitted ||= variant === 'canary';
        }
      },
    ),
    { numRuns: 300 },
  );
});

test('the order of rules and excludes does not matter, not even for what a decision names', () => {
  fc.assert(
    fc.property(
      rulesOf(anyMatch).chain((rules) =>
        fc.tuple(fc.constant(rules), fc.shuffledSubarray(rules, { minLength: rules.length })),
      ),
      excludesOf(anyMatch),
      fc.array(anyRequest, { minLength: 1, maxLength: 6 }),
      user,
      ([rules, shuffled], exclude, requests, number) => {
        const one = compiled(rules, exclude);
        const two = compiled(shuffled, exclude.toReversed());
        for (const request of requests) {
          const [a, b] = [one, two].map((policy) => {
            const { variant, reason, rule, bucket } = known(policy, number).send(policy, {
              ...request,
              cookies: { ...request.cookies, ...known(policy, number).request.cookies },
            });
            return `${variant} ${reason} ${rule} ${bucket}`;
          });
          assert.equal(a, b);
        }
      },
    ),
    { numRuns: 300 },
  );
});

test('an excluded user who was latched never sees the canary again in this rollout', () => {
  fc.assert(
    fc.property(
      rulesOf(userMatch),
      excludesOf(userMatch),
      fc.array(anyRequest, { minLength: 2, maxLength: 12 }),
      user,
      (rules, exclude, requests, number) => {
        const policy = compiled(rules, exclude);
        const browser = known(policy, number);
        let admitted = false;
        let excluded = false;
        for (const request of requests) {
          const { variant, reason } = browser.send(policy, {
            ...request,
            cookies: { ...request.cookies, ...browser.request.cookies },
          });
          if (excluded) assert.equal(`${variant} ${reason}`, 'stable exclude');
          if (admitted && reason === 'exclude') excluded = true;
          admitted ||= variant === 'canary';
        }
      },
    ),
    { numRuns: 500 },
  );
});

test('the flip counter stays at zero, whatever users do', () => {
  const memory = { ...within, latchMemory: openMemory(10_000) };
  const chain = {
    identity: [{ header: 'x-user-id' }, { cookie: 'serin_id', mint: true }, { fingerprint: true }] as const,
  };
  let epoch = 0;
  let observed = 0;
  fc.assert(
    fc.property(
      rulesOf(userMatch),
      fc.array(fc.tuple(fc.nat(3), anyRequest, fc.boolean()), { minLength: 5, maxLength: 30 }),
      (rules, requests) => {
        epoch++;
        const state = rollout(rules, { epoch, id: `rollout ${epoch}` });
        const policy = compilePolicy(service({ rollout: state, ...chain }), memory);
        const flips = new FlipTable(256);
        const browsers = Array.from({ length: 4 }, () => new Browser());
        for (const [number, request, signedIn] of requests) {
          const headers = signedIn
            ? { ...request.headers, 'x-user-id': `user ${number}` }
            : (request.headers ?? {});
          // Clients with an identity header keep no cookies here.
          const browser = signedIn ? new Browser() : browsers[number]!;
          const decision = browser.send(policy, {
            ...request,
            headers,
            cookies: { ...request.cookies, ...browser.cookies },
          });
          assert.equal(flips.observe(decision), false);
          if (decision.comparable) observed++;
        }
      },
    ),
    { numRuns: 400 },
  );
  assert.ok(observed > 2000, `${observed}`);
});

test('only excludes, removals and decreases ever move a latched user out', () => {
  fc.assert(
    fc.property(
      rulesOf(userMatch),
      fc.nat(7),
      fc.nat(100),
      anyRequest,
      anyRequest,
      user,
      (rules, changed, percentage, first, later, number) => {
        const before = compiled(rules);
        const browser = known(before, number);
        const admitted = browser.send(before, {
          ...first,
          cookies: { ...first.cookies, ...browser.request.cookies },
        });
        fc.pre(admitted.variant === 'canary');
        const index = changed % rules.length;
        const lowered = rules.map((rule, at) =>
          at === index ? { ...rule, percentage: Math.min(rule.percentage, percentage) } : rule,
        );
        const after = send(browser, compiled(lowered), later);
        const { name, percentage: left } = lowered[index]!;
        // Who was admitted by another rule, or lies below what is left of this one, stays.
        if (name !== admitted.rule || admitted.bucket < left * 10_000) assert.equal(after, 'canary');
      },
    ),
    { numRuns: 500 },
  );
});
