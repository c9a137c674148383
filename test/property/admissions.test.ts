/**
 * A latch holds every admission of its user, up to a bound: whatever becomes of the rules, exactly those users lose the canary
 * that nothing admits any more.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { compilePolicy, type PolicyContext } from '../../src/policy/compile.ts';
import type { Match } from '../../src/policy/conditions/match.ts';
import { MOST_MARKS } from '../../src/policy/latch/latch.ts';
import type { Decision } from '../../src/policy/decision.ts';
import type { IdentityTier } from '../../src/policy/identity/identity-tier.ts';
import type { Rule } from '../../src/policy/schema.ts';
import {
  Browser,
  context,
  decideOnce,
  idOf,
  mintedCookie,
  openMemory,
  rollout,
  service,
  type Request,
} from '../unit/policy/fixtures.ts';

/** Places and things that users come to and leave; a request has any of them. */
const TRAITS = ['office', 'beta', 'phone', 'early', 'staff', 'lab'] as const;
type Trait = (typeof TRAITS)[number];

interface ModelRule {
  readonly name: string;
  /** What the rule asks for; none: everyone. */
  readonly traits: readonly Trait[];
  readonly percentage: number;
}

interface Step {
  /** How this step changes the rules: the percentage of one of them, -1 to remove it. */
  readonly change: { readonly rule: number; readonly percentage: number } | null;
  readonly traits: readonly Trait[];
}

const percentage = fc.constantFrom(-1, 0, 1, 10, 50, 100);

/** Rules that ask for one or two traits each, and one for everyone. */
function rulesOf(traits: readonly Trait[]): fc.Arbitrary<ModelRule[]> {
  const asked = fc.subarray([...traits], { minLength: 1, maxLength: 2 });
  return fc
    .tuple(fc.array(fc.tuple(asked, percentage), { minLength: 1, maxLength: traits.length }), percentage)
    .map(([conditional, everyone]) => [
      ...conditional.map(([asked, percentage], index) => ({
        name: `rule ${index}`,
        traits: asked,
        percentage,
      })),
      { name: 'everyone', traits: [], percentage: everyone },
    ]);
}

function stepsOf(traits: readonly Trait[]): fc.Arbitrary<Step[]> {
  const change = fc.record({ rule: fc.nat(traits.length), percentage });
  return fc.array(fc.record({ change: fc.option(change, { freq: 2 }), traits: fc.subarray([...traits]) }), {
    minLength: 2,
    maxLength: 14,
  });
}

function documentRules(rules: readonly ModelRule[]): Rule[] {
  return rules
    .filter(({ percentage }) => percentage >= 0)
    .map(({ name, traits, percentage }) => {
      const header = Object.fromEntries(traits.map((trait) => [`x-${trait}`, { present: true }]));
      const match: Match = { header };
      return traits.length === 0 ? { name, percentage } : { name, match, percentage };
    });
}

/** What a user is to have: by the rules that admit now, and those that ever admitted and would do so still. */
class Model {
  readonly #admissions = new Set<string>();

  decide(rules: readonly ModelRule[], traits: readonly Trait[], bucket: number): boolean {
    const admitting = rules.filter(({ percentage }) => bucket < percentage * 10_000);
    for (const rule of admitting)
      if (rule.traits.every((trait) => traits.includes(trait))) this.#admissions.add(rule.name);
    return admitting.some(({ name, traits }) => traits.length === 0 || this.#admissions.has(name));
  }
}

type Send = (rules: readonly Rule[], request: Request, revision: number) => Decision;

/** One for all runs, each of which is a rollout of its own. */
const within: PolicyContext = { ...context(), latchMemory: null };
const remembering: PolicyContext = { ...within, latchMemory: openMemory(100_000) };
let runs = 0;

/** How a client of either kind sends its requests, and keeps what it is given. */
const CLIENTS: Record<string, (user: number) => Send> = {
  'a browser, by its cookie': (user) => {
    const browser = new Browser();
    const id = `rollout ${runs++}`;
    return (rules, request, revision) => {
      const policy = compilePolicy(service({ rollout: rollout(rules, { id }), revision }), within);
      const cookies = { ...browser.cookies, serin_id: mintedCookie(policy, idOf(user)) };
      return browser.send(policy, { ...request, cookies });
    };
  },
  'a client without cookies, by its header': (user) => headerClient(user, () => ({})),
  'a browser that is known by a header': (user) => {
    const browser = new Browser();
    return headerClient(
      user,
      () => browser.cookies,
      (line) => browser.keep(line),
    );
  },
  // Latches of one device are in a cookie; what came over the other is in memory alone.
  'two devices of one user': (user) => {
    const browser = new Browser();
    let turn = 0;
    return headerClient(
      user,
      () => (turn++ % 2 === 0 ? browser.cookies : {}),
      (line) => void (turn % 2 === 1 && browser.keep(line)),
    );
  },
};

function headerClient(
  user: number,
  cookies: () => Readonly<Record<string, string>>,
  keep: (line: string) => void = () => {},
): Send {
  const id = `rollout ${runs++}`;
  const identity: readonly IdentityTier[] = [{ header: 'x-user-id' }];
  return (rules, request, revision) => {
    const policy = compilePolicy(
      service({ rollout: rollout(rules, { id }), identity, revision }),
      remembering,
    );
    const headers = { ...request.headers, 'x-user-id': `user ${user}` };
    const decision = decideOnce(policy, { ...request, headers, cookies: cookies() });
    for (const line of decision.setCookies.split('\r\n').slice(0, -1)) keep(line);
    return decision;
  };
}

function headersOf(traits: readonly Trait[]): Record<string, string> {
  return Object.fromEntries(traits.map((trait) => [`x-${trait}`, '1']));
}

for (const [name, client] of Object.entries(CLIENTS)) {
  test(`lowering or removing a rule moves exactly whom nothing else admits: ${name}`, () => {
    const traits = TRAITS.slice(0, MOST_MARKS);
    let kept = 0;
    let lost = 0;
    fc.assert(
      fc.property(rulesOf(traits), stepsOf(traits), fc.nat(2000), (first, steps, user) => {
        const send = client(user);
        const model = new Model();
        let rules = first;
        let before = false;
        for (const [index, { change, traits }] of steps.entries()) {
          if (change !== null)
            rules = rules.map((rule, at) =>
              at === change.rule ? { ...rule, percentage: change.percentage } : rule,
            );
          if (documentRules(rules).length === 0) continue;
          const decision = send(documentRules(rules), { headers: headersOf(traits) }, index + 1);
          const expected = model.decide(rules, traits, decision.bucket);
          assert.equal(decision.variant, expected ? 'canary' : 'stable', `step ${index}`);
          if (before && expected && change !== null) kept++;
          if (before && !expected) lost++;
          before = expected;
        }
      }),
      { numRuns: 300 },
    );
    assert.ok(kept > 50 && lost > 20, `${kept} kept, ${lost} lost`);
  });
}

test('of more admissions than a latch holds, the strongest is held', () => {
  fc.assert(
    fc.property(
      fc.array(fc.constantFrom(1, 10, 20, 50, 70, 100), { minLength: 6, maxLength: 6 }),
      fc.shuffledSubarray([...TRAITS], { minLength: 6 }),
      fc.nat(2000),
      (percentages, order, user) => {
        for (const client of Object.values(CLIENTS)) {
          const send = client(user);
          const rules = TRAITS.map((trait, index) => ({
            name: trait,
            match: { header: { [`x-${trait}`]: { present: true } } },
            percentage: percentages[index]!,
          }));
          let strongest = '';
          let most = 0;
          for (const trait of order) {
            const { bucket } = send(rules, { headers: headersOf([trait]) }, 1);
            const percentage = percentages[TRAITS.indexOf(trait)]!;
            if (bucket >= percentage * 10_000 || percentage <= most) continue;
            [strongest, most] = [trait, percentage];
          }
          // Whatever becomes of all the others.
          const left = rules.map((rule) => (rule.name === strongest ? rule : { ...rule, percentage: 0 }));
          assert.equal(send(left, {}, 2).variant, strongest === '' ? 'stable' : 'canary');
        }
      },
    ),
    { numRuns: 100 },
  );
});
