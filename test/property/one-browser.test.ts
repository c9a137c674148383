/**
 * Browsers that walk the paths of one host, with several services under nested prefixes, while prefixes change and services go:
 * in one rollout of a service each of them sees one variant, and as many see the canary as should.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { compileContext, compilePolicy, type CompiledPolicy } from '../../src/policy/compile.ts';
import { decide } from '../../src/policy/decide.ts';
import { newDecision } from '../../src/policy/decision.ts';
import { describedFacts } from '../../src/policy/described.ts';
import { FlipTable } from '../../src/policy/flip.ts';
import { EMPTY_NETWORKS } from '../../src/ip/network.ts';
import type { RolloutState, Variant } from '../../src/policy/rollout.ts';
import { compileServiceMatcher, type ServiceMatcher } from '../../src/policy/service-match.ts';
import { cookieJar, type CookieJar } from '../support/cookie-jar.ts';
import { seeded } from '../support/seeded.ts';
import { idOf, KEYS, mint, NOW, rollout, service } from '../unit/policy/fixtures.ts';

const HOST = 'app.example.com';
const PATHS = ['/', '/x', '/a', '/a/x', '/a/b', '/a/b/x', '/c', '/c/x', '/d/e/x', '/n/x'];

/** What is served at one time: services by name with their prefixes. */
interface Served {
  readonly matcher: ServiceMatcher;
  readonly policies: readonly CompiledPolicy[];
}

type RolloutOf = (name: string) => RolloutState | null;

function serve(prefixes: Readonly<Record<string, string>>, of: RolloutOf, keys = KEYS): Served {
  const services = Object.entries(prefixes).map(([name, pathPrefix]) => ({
    ...service({ name, pathPrefix, rollout: of(name) }),
    hosts: [HOST],
  }));
  const context = compileContext({
    segments: {},
    followPeers: EMPTY_NETWORKS,
    regionDatabase: null,
    keys,
    services,
  });
  return {
    matcher: compileServiceMatcher(services),
    policies: services.map((each) => compilePolicy(each, context)),
  };
}

const HALF = [{ name: 'everyone', percentage: 50 }];
/** Whoever moves leaves this network. */
const HALF_OF_A_NETWORK = [{ name: 'at home', match: { cidr: '10.0.0.0/8' }, percentage: 50 }];
const first: RolloutOf = (name) => rollout(HALF, { id: `first of ${name}`, seed: 'aa' });
const second: RolloutOf = (name) => rollout(HALF, { id: `second of ${name}`, epoch: 2, seed: 'bb' });

const NESTED = { root: '/', a: '/a', b: '/a/b', c: '/c', d: '/d/e' };

class Walker {
  readonly jar: CookieJar = cookieJar();
  /** By rollout: every variant that was seen. */
  readonly seen = new Map<string, Set<Variant>>();
  /** By rollout: the first that was seen. */
  readonly began = new Map<string, Variant>();
  readonly #number: number;
  #address: string;

  constructor(number: number) {
    this.#number = number;
    this.#address = `10.${(number >> 8) & 255}.${number & 255}.1`;
  }

  /** Another network; the cookies stay. */
  move(): void {
    this.#address = this.#address
      .replace(/^10\./, '198.')
      .replace(/\d+$/, (last) => `${(Number(last) % 250) + 1}`);
  }

  /** Sends the requests at once: each with the cookies of before any answer. */
  visit(served: Served, paths: readonly string[], flips: FlipTable, keepsCookies = true): void {
    const answers = paths.map((path) => this.#ask(served, path, flips));
    if (keepsCookies) for (const lines of answers) this.jar.keep(HOST, lines);
  }

  #ask({ matcher, policies }: Served, path: string, flips: FlipTable): string[] {
    const policy = policies[matcher.find(HOST, path)];
    if (policy === undefined) return [];
    const cookie = this.jar.header(HOST, path);
    const facts = describedFacts(
      {
        path,
        clientAddress: this.#address,
        headers: { 'user-agent': `browser ${this.#number}`, ...(cookie !== '' && { cookie }) },
      },
      policy,
    );
    const decision = decide(policy, facts, 3, NOW, mint, newDecision());
    assert.equal(flips.observe(decision), false, `${path} flips`);
    if (policy.rules !== null) {
      const of = `${policy.service} ${policy.rolloutId}`;
      const seen = this.seen.get(of) ?? new Set();
      this.seen.set(of, seen.add(decision.variant));
      if (!this.began.has(of)) this.began.set(of, decision.variant);
    }
    return decision.setCookies
      .split('\r\n')
      .slice(0, -1)
      .map((line) => line.slice('Set-Cookie: '.length));
  }
}

function walkers(count: number): Walker[] {
  return Array.from({ length: count }, (_, number) => new Walker(number));
}

/** Nobody sees both variants of one rollout, and of each rollout half of the browsers see the canary, to four standard errors. */
function assertSteady(all: readonly Walker[]): void {
  const both = all.flatMap(({ seen }) => [...seen].filter(([, variants]) => variants.size > 1));
  assert.deepEqual(both.map(([of]) => of).slice(0, 5), [], `${both.length} times both variants were seen`);
  for (const of of new Set(all.flatMap(({ began }) => [...began.keys()]))) {
    const variants = all.flatMap(({ began }) => began.get(of) ?? []);
    const share = variants.filter((variant) => variant === 'canary').length / variants.length;
    const error = 0.5 / Math.sqrt(variants.length);
    assert.ok(Math.abs(share - 0.5) < 4 * error, `${of}: ${share} of ${variants.length}`);
  }
}

const ERAS = {
  'nothing changes': [NESTED, NESTED],
  'a prefix becomes wider': [NESTED, { ...NESTED, a: '/', root: '/n' }],
  'a prefix becomes narrower': [{ root: '/n', a: '/', b: '/a/b' }, NESTED],
  'a prefix moves': [NESTED, { ...NESTED, c: '/n', d: '/c' }],
  'prefixes are swapped': [NESTED, { ...NESTED, a: '/a/b', b: '/a' }],
  'services go': [NESTED, { root: '/', c: '/c' }, { root: '/' }],
  'services come': [{ root: '/' }, { root: '/', c: '/c' }, NESTED],
  'the service of the whole host goes': [NESTED, { a: '/a', b: '/a/b', c: '/c' }, NESTED],
};

for (const [what, served] of Object.entries(ERAS)) {
  test(`one browser sees one variant of each rollout: ${what}`, () => {
    const random = seeded(served.length);
    const below = (count: number): number => Math.floor(random() * count);
    const path = (): string => PATHS[below(PATHS.length)]!;
    const all = walkers(160);
    const during = (prefixes: Readonly<Record<string, string>>, of: RolloutOf): void => {
      const now = serve(prefixes, of);
      const flips = new FlipTable();
      for (let round = 0; round < 5; round++) {
        for (const walker of all) {
          walker.visit(now, below(3) === 0 ? [path(), path(), path()] : [path()], flips, below(5) > 0);
          if (walker.jar.all.length > 0 && below(4) === 0) walker.move();
        }
      }
    };
    // Half of them are known before a rollout starts.
    const before = serve(served[0]!, () => null);
    for (const walker of all.slice(80)) walker.visit(before, [path(), path()], new FlipTable());
    for (const prefixes of served) during(prefixes, first);
    for (const prefixes of served) during(prefixes, second);
    assertSteady(all);
    for (const { jar } of all)
      assert.ok(jar.all.filter((cookie) => cookie.startsWith('serin_id ')).length <= 1);
  });
}

test('who was admitted by a network and leaves it stays, on every path', () => {
  const admitted: RolloutOf = (name) => rollout(HALF_OF_A_NETWORK, { id: `office of ${name}`, seed: 'cc' });
  const served = [serve(NESTED, admitted), serve({ ...NESTED, a: '/', root: '/n' }, admitted)];
  const all = walkers(160);
  for (const walker of all) {
    for (const path of PATHS) walker.visit(served[0]!, [path], new FlipTable());
    walker.move();
    for (const now of served) for (const path of PATHS) walker.visit(now, [path], new FlipTable());
  }
  const both = all.flatMap(({ seen }) => [...seen].filter(([, variants]) => variants.size > 1));
  assert.deepEqual(both, []);
});

/** Ids of the services alone, each on the paths of its service: what earlier versions gave. */
function withFormerIds(all: readonly Walker[], prefixes: Readonly<Record<string, string>>): void {
  const { policies } = serve(prefixes, () => null);
  for (const [number, { jar }] of all.entries()) {
    for (const [index, { service: name, context }] of policies.entries()) {
      const id = context.mintedIds.seal(name, idOf(10 * number + index), '', '');
      jar.keep(HOST, [`serin_id=${id}; Path=${prefixes[name]}; Max-Age=1000`]);
    }
  }
}

test('ids of earlier versions go on counting under nested prefixes', () => {
  const all = walkers(160);
  withFormerIds(all, NESTED);
  const now = serve(NESTED, first);
  for (let round = 0; round < 2; round++)
    for (const walker of all) for (const path of PATHS) walker.visit(now, [path], new FlipTable());
  assertSteady(all);
});

test('an id of an earlier version counts on all paths when its service gets the whole host', () => {
  for (const order of [PATHS, PATHS.toReversed()]) {
    const all = walkers(160);
    withFormerIds(all, { a: '/a' });
    const now = serve({ a: '/' }, first);
    // Between two rollouts the browser comes by, as it does for weeks: on the path that it knows.
    const between = serve({ a: '/' }, () => null);
    for (const walker of all) walker.visit(between, ['/a/x'], new FlipTable());
    for (const walker of all) for (const path of order) walker.visit(now, [path], new FlipTable());
    assertSteady(all);
    for (const { jar } of all) assert.match(jar.all.join('\n'), /^serin_id \S+ \/$/m);
  }
});

test('two proxies with keys of their own on one host do not take turns in replacing ids', () => {
  const otherKeys = [{ id: 'other', secret: new Uint8Array(32).fill(9) }];
  for (const [prefixes, other, theirPath] of [
    [{ root: '/', c: '/c' }, '/a', '/a/x'],
    [{ a: '/a', c: '/c' }, '/', '/x'],
    [{ a: '/a', c: '/c' }, '/d', '/d/x'],
  ] as const) {
    const all = walkers(120);
    const ids = (): string[] =>
      all.map(({ jar }) => jar.all.filter((each) => each.startsWith('serin_id ')).join());
    const visitBoth = (ours: Served, theirs: Served): void => {
      for (const walker of all) {
        walker.visit(theirs, [theirPath], new FlipTable());
        walker.visit(ours, ['/c/x'], new FlipTable());
        walker.move();
      }
    };
    const [ours, theirs] = [serve(prefixes, () => null), serve({ elsewhere: other }, () => null, otherKeys)];
    // After two visits each has its id where the other's is not, or beside it.
    for (let round = 0; round < 2; round++) visitBoth(ours, theirs);
    const settled = ids();
    const [oursNow, theirsNow] = [serve(prefixes, first), serve({ elsewhere: other }, second, otherKeys)];
    for (let round = 0; round < 3; round++) visitBoth(oursNow, theirsNow);
    assertSteady(all);
    assert.deepEqual(ids(), settled);
  }
});
