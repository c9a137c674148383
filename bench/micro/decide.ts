/**
 * What a decision costs: `node --expose-gc bench/micro/decide.ts [name]`. About half a minute on one core.
 *
 * Each case decides for 1,024 users in turn, whose headers and cookies are cut out of a request's head anew for every
 * decision, as the data plane does; so strings are hashed as they are for real requests. Caches are warm but where the
 * case says otherwise. Shown are time and allocation for one
 * decision.
 */
import { bench, do_not_optimize, run } from 'mitata';
import { parseAddress, UNKNOWN_ADDRESS, type ClientAddress } from '../../src/ip/address.ts';
import {
  compileContext,
  compilePolicy,
  type CompiledPolicy,
  type ContextSource,
} from '../../src/policy/compile.ts';
import { decide } from '../../src/policy/decide.ts';
import { newDecision } from '../../src/policy/decision.ts';
import type { RequestFacts } from '../../src/policy/facts.ts';
import { FlipTable } from '../../src/policy/flip.ts';
import { compileNetworks, EMPTY_NETWORKS } from '../../src/ip/network.ts';
import type { Phase } from '../../src/policy/rollout.ts';
import type { Rule } from '../../src/policy/schema.ts';
import { policySource } from '../../test/support/policy-source.ts';

const USERS = 1024;
const NOW = 1_700_000_000;
const IPHONE =
  'Mozilla/5.0 (iPhone; CPU iPhone OS 17_5_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 Mobile/15E148 Safari/604.1';

/** Pseudo-random networks, the same in every run. */
function networks(count: number): string[] {
  let state = 1;
  return Array.from({ length: count }, () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return `${state >>> 24}.${(state >>> 16) & 255}.${(state >>> 8) & 255}.0/24`;
  });
}

const OFFICE = ['203.0.113.0/24', '198.51.100.0/24', '2001:db8::/32'];
const source: ContextSource = {
  segments: {
    office: compileNetworks(OFFICE),
    huge: compileNetworks([...networks(100_000), ...OFFICE]),
  },
  followPeers: EMPTY_NETWORKS,
  regionDatabase: null,
  keys: [{ id: 'k', secret: new Uint8Array(32).fill(7) }],
};
const context = compileContext(source);

function policyOf(rules: readonly Rule[], phase: Phase = 'running'): CompiledPolicy {
  const identity = [{ cookie: 'serin_id', mint: true }, { fingerprint: true }] as const;
  return compilePolicy(policySource(rules, identity, phase), context);
}

const NO_COOKIES: readonly string[] = [];

/** A request as one head: each value is cut out of it when it is asked for. */
class Head implements RequestFacts {
  readonly method = 'GET';
  readonly path = '/api/v1/items';
  readonly query = '';
  readonly peer = UNKNOWN_ADDRESS;
  readonly secure = true;
  readonly client: ClientAddress;
  readonly #text: string;
  readonly #at = new Map<string, readonly [number, number]>();

  constructor(client: string, fields: Readonly<Record<string, string>>) {
    this.client = parseAddress(client) ?? UNKNOWN_ADDRESS;
    let text = 'GET /api/v1/items HTTP/1.1\r\n';
    for (const [name, value] of Object.entries(fields)) {
      text += `${name}: `;
      this.#at.set(name, [text.length, text.length + value.length]);
      text += `${value}\r\n`;
    }
    this.#text = Buffer.from(text, 'latin1').toString('latin1');
  }

  header(name: string): string | undefined {
    const at = this.#at.get(name);
    return at === undefined ? undefined : this.#text.slice(at[0], at[1]);
  }

  /** Cookies are kept as fields of their own name: finding them is the codec's work, not the decision's. */
  cookie(name: string): string | undefined {
    return this.header(name);
  }

  otherCookies(): readonly string[] {
    return NO_COOKIES;
  }
}

let next = 0;
const random = (): string => `visitor-${String(next++).padStart(14, '0')}`;

/** Users with the cookies that they have after a first visit. */
function usersOf(policy: CompiledPolicy, fields: (number: number) => Record<string, string>): Head[] {
  return Array.from({ length: USERS }, (_, number) => {
    const id = context.mintedIds.seal('', `known-${String(number).padStart(16, '0')}`, '', '');
    const before = { serin_id: id, ...fields(number) };
    const { setCookies } = decide(policy, new Head('203.0.113.7', before), 3, NOW, random, newDecision());
    const latch = /serin_latch_notes=([^;]+);/.exec(setCookies)?.[1];
    return new Head('203.0.113.7', latch === undefined ? before : { ...before, serin_latch_notes: latch });
  });
}

const out = newDecision();
const only = process.argv[2];

function measure(name: string, policy: CompiledPolicy, users: readonly RequestFacts[]): void {
  if (only !== undefined && !name.includes(only)) return;
  let turn = 0;
  bench(name, () => {
    const user = users[turn++ & (USERS - 1)]!;
    do_not_optimize(decide(policy, user, 3, NOW, random, out));
  }).gc('inner');
}

const browser = (): Record<string, string> => ({ 'user-agent': IPHONE, 'accept-language': 'en' });
const target: Rule[] = [
  { name: 'r', match: { segment: 'office', device: { model: 'iPhone' } }, percentage: 10 },
];

const full = policyOf(target);
measure('3 networks ∧ iPhone ∧ 10 % by cookie', full, usersOf(full, browser));

const every = policyOf([{ ...target[0]!, percentage: 100 }]);
measure('3 networks ∧ iPhone ∧ 100 %, all latched', every, usersOf(every, browser));
const unlatched = usersOf(policyOf([{ ...target[0]!, percentage: 0 }]), browser);
const almost: Rule[] = [
  { name: 'r', match: { segment: 'office', device: { model: 'iPad' } }, percentage: 100 },
];
measure('3 networks ∧ iPad ∧ 100 %, all conditions tested in vain', policyOf(almost), unlatched);

const simple = policyOf([{ name: 'everyone', percentage: 10 }]);
measure('10 % of everyone', simple, usersOf(simple, browser));
measure('no rollout', policyOf(target, 'idle'), unlatched);
measure('promoted', policyOf(target, 'promoted'), unlatched);

const huge: Rule[] = [{ name: 'r', match: { segment: 'huge', device: { model: 'iPad' } }, percentage: 100 }];
measure('100,000 networks ∧ iPad ∧ 100 %, in vain', policyOf(huge), unlatched);

const customers = Array.from({ length: 999 }, (_, number): Rule => {
  return {
    name: `c${number}`,
    match: { header: { 'x-customer': { equals: `customer ${number}` } } },
    percentage: 100,
  };
});
measure(
  '1,000 rules on one header and 10 % of everyone',
  policyOf([...customers, { name: 'everyone', percentage: 10 }]),
  unlatched,
);

const mixed = Array.from({ length: 1000 }, (_, number): Rule => {
  const kinds: Rule['match'][] = [
    { header: { 'x-customer': { equals: `customer ${number}` } } },
    { cidr: `10.${number >> 8}.${number & 255}.0/24` },
    { device: { model: `SM-${number}` }, query: { beta: { present: true } } },
    { cookie: { plan: { oneOf: [`a${number}`, `b${number}`] } }, segment: 'office' },
    { path: { prefix: `/shop/${number}` } },
  ];
  return { name: `m${number}`, match: kinds[number % kinds.length]!, percentage: 100 };
});
measure('1,000 rules of five kinds, none holds', policyOf(mixed), unlatched);

const strangers = Array.from({ length: USERS }, () => new Head('203.0.113.7', browser()));
measure('a first visit: fingerprint, minting', policyOf([{ name: 'everyone', percentage: 0 }]), strangers);

if (only === undefined || 'cold'.includes(only)) {
  let seen = 0;
  const cold = policyOf([{ ...target[0]!, percentage: 100 }]);
  // Collecting garbage before every run would throw away compiled expressions as well: that is colder than any proxy.
  bench('cold: a user agent and an id never seen, admitted', () => {
    const head = new Head('203.0.113.7', {
      'user-agent': `${IPHONE} ${seen++}`,
      serin_id: context.mintedIds.seal('', random(), '', ''),
    });
    do_not_optimize(decide(cold, head, 3, NOW, random, out));
  });
}

const flips = new FlipTable();
if (only === undefined || 'flip table'.includes(only)) {
  let user = 1;
  const decision = { ...newDecision(), comparable: true };
  bench('flip table', () => {
    decision.identityHash = user;
    user = (user * 48_271) % 0x7fffffff;
    do_not_optimize(flips.observe(decision));
  }).gc('inner');
}

await run({ format: 'mitata', colors: process.stdout.isTTY });
