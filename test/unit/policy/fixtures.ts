/**
 * Policies, requests and browsers for tests of the policy core. Nothing here knows how a decision is made.
 */
import { createHash } from 'node:crypto';
import * as fc from 'fast-check';
import { parseAddress, UNKNOWN_ADDRESS, type ClientAddress } from '../../../src/ip/address.ts';
import {
  compileContext,
  compilePolicy,
  type CompiledPolicy,
  type ContextSource,
  type PolicyContext,
  type PolicySource,
} from '../../../src/policy/compile.ts';
import { decide } from '../../../src/policy/decide.ts';
import { newDecision, type Decision } from '../../../src/policy/decision.ts';
import type { RequestFacts } from '../../../src/policy/facts.ts';
import { latchTableMemory } from '../../../src/policy/latch/latch-layout.ts';
import { ScopeLatches, type LatchMemory } from '../../../src/policy/latch/latch-memory.ts';
import { LatchTable } from '../../../src/policy/latch/latch-table.ts';
import { compileNetworks, EMPTY_NETWORKS } from '../../../src/ip/network.ts';
import type { RolloutState } from '../../../src/policy/rollout.ts';
import type { ExcludeRule, Rule } from '../../../src/policy/schema.ts';

export const IPHONE =
  'Mozilla/5.0 (iPhone; CPU iPhone OS 17_5_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 Mobile/15E148 Safari/604.1';
export const ANDROID =
  'Mozilla/5.0 (Linux; Android 14; Pixel 8) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Mobile Safari/537.36';

export const KEYS = [{ id: 'k1', secret: new Uint8Array(32).fill(7) }];
export const NOW = 1_700_000_000;

export function context(
  over: Partial<ContextSource> = {},
  memory: PolicyContext['latchMemory'] = null,
): PolicyContext {
  const source: ContextSource = {
    segments: { office: compileNetworks(['203.0.113.0/24', '198.51.100.0/25', '2001:db8::/32']) },
    followPeers: EMPTY_NETWORKS,
    regionDatabase: null,
    keys: KEYS,
    ...over,
  };
  return compileContext(source, null, memory);
}

export function contextWithMemory(): PolicyContext {
  return context({}, openMemory());
}

/** A memory of latches that opens every scope that is asked for and numbers its rules itself. */
export function openMemory(limit = 1000): Pick<LatchMemory, 'scope'> {
  const table = new LatchTable(latchTableMemory(limit), 1);
  const scopes = new Map<string, ScopeLatches>();
  return {
    scope(name) {
      let latches = scopes.get(name);
      if (latches === undefined) {
        const [index, serial] = [scopes.size, scopes.size + 1];
        table.openScope(index, serial, serial);
        latches = new ScopeLatches(name, { index, serial, tags: [] }, table, true);
        scopes.set(name, latches);
      }
      return latches;
    },
  };
}

export function rollout(
  rules: readonly Rule[],
  over: Partial<RolloutState> = {},
  exclude: readonly ExcludeRule[] = [],
): RolloutState {
  return {
    id: 'rollout-1',
    epoch: 1,
    seed: '00112233445566778899aabbccddeeff',
    bucketAlgorithm: 'xxh64-1',
    fingerprintKey: 'k1',
    phase: 'running',
    document: { rules: [...rules], exclude: [...exclude] },
    step: -1,
    startedAt: '2026-01-01T00:00:00Z',
    ...over,
  };
}

export function service(over: Partial<PolicySource> = {}): PolicySource {
  return {
    name: 'notes',
    pathPrefix: '/',
    identity: [{ cookie: 'serin_id', mint: true }, { fingerprint: true }],
    cookies: { sameSite: 'Lax', secure: 'auto', partitioned: false, maxAge: 86_400 },
    follow: [],
    settings: { fallbackToStable: true, fallbackToCanary: false },
    rollout: null,
    revision: 1,
    networks: {},
    ...over,
  };
}

/** What most policies are compiled in: its caches are large, and no policy sees what another one put there. */
const COMMON = context();

/** A compiled policy of running rules. */
export function policy(
  rules: readonly Rule[],
  over: Partial<PolicySource> = {},
  exclude: readonly ExcludeRule[] = [],
  within: PolicyContext = COMMON,
): CompiledPolicy {
  return compilePolicy(service({ rollout: rollout(rules, {}, exclude), ...over }), within);
}

export interface Request {
  readonly method?: string;
  readonly path?: string;
  readonly query?: string;
  readonly client?: string;
  readonly peer?: string;
  readonly secure?: boolean;
  readonly headers?: Readonly<Record<string, string>>;
  /** Several values are several cookies of one name. */
  readonly cookies?: Readonly<Record<string, string | readonly string[]>>;
}

export function address(text: string | undefined): ClientAddress {
  if (text === undefined) return UNKNOWN_ADDRESS;
  const found = parseAddress(text);
  if (found === null) throw new Error(`${text} is no address`);
  return found;
}

export function facts(request: Request = {}): RequestFacts {
  const { headers = {}, cookies = {} } = request;
  return {
    method: request.method ?? 'GET',
    path: request.path ?? '/',
    query: request.query ?? '',
    client: address(request.client ?? '192.0.2.1'),
    peer: address(request.peer ?? '10.0.0.1'),
    secure: request.secure ?? false,
    header: (name) => (Object.hasOwn(headers, name) ? headers[name] : undefined),
    cookie: (name) => valuesOf(cookies, name)[0],
    otherCookies: (name) => valuesOf(cookies, name).slice(1),
  };
}

function valuesOf(cookies: NonNullable<Request['cookies']>, name: string): readonly string[] {
  const values = Object.hasOwn(cookies, name) ? cookies[name]! : [];
  return typeof values === 'string' ? [values] : values;
}

/** Ids by number, the same in every run: 22 characters, as real ones. */
export function idOf(number: number): string {
  return createHash('sha256').update(`id ${number}`).digest('base64url').slice(0, 22);
}

let minted = 0;
export function mint(): string {
  return idOf(1_000_000_000 + minted++);
}

export function decideOnce(policy: CompiledPolicy, request: Request = {}, usable = 3, now = NOW): Decision {
  return decide(policy, facts(request), usable, now, mint, newDecision());
}

/** A client that keeps cookies, as browsers do, by name. */
export class Browser {
  readonly cookies: Record<string, string> = {};
  /** What every request of this client has. */
  request: Request;
  /** `Set-Cookie` lines of the last answer. */
  lines: string[] = [];

  constructor(request: Request = {}) {
    this.request = request;
  }

  send(policy: CompiledPolicy, request: Request = {}, usable = 3): Decision {
    const whole = { ...this.request, ...request };
    const decision = decideOnce(policy, { ...whole, cookies: { ...this.cookies, ...whole.cookies } }, usable);
    this.lines = decision.setCookies.split('\r\n').slice(0, -1);
    for (const line of this.lines) this.keep(line);
    return decision;
  }

  keep(line: string): void {
    const found = /^Set-Cookie: ([^=]+)=([^;]*)(.*)$/.exec(line);
    if (found === null) throw new Error(`not a Set-Cookie line: ${line}`);
    const [, name = '', value = '', attributes = ''] = found;
    if (/; Max-Age=0(;|$)/.test(attributes)) delete this.cookies[name];
    else this.cookies[name] = value;
  }
}

/** The cookie of a genuine minted id, of between rollouts. */
export function mintedCookie(policy: CompiledPolicy, id: string): string {
  return policy.context.mintedIds.seal('', id, '', '');
}

/** The same as the service alone may use it. */
export function serviceCookie(policy: CompiledPolicy, id: string): string {
  return policy.context.mintedIds.seal(policy.service, id, '', '');
}

/** A user's request with a minted id of between rollouts. */
export function userRequest(policy: CompiledPolicy, number: number, over: Request = {}): Request {
  return { ...over, cookies: { serin_id: mintedCookie(policy, idOf(number)), ...over.cookies } };
}

/** The number of the first user whose bucket lies in [from, to). */
export function userWithBucket(policy: CompiledPolicy, from: number, to: number): number {
  for (let number = 0; number < 100_000; number++) {
    const { bucket } = decideOnce(policy, userRequest(policy, number));
    if (bucket >= from && bucket < to) return number;
  }
  throw new Error('no such user');
}

/** The characters of an ASCII text, for `fc.constantFrom`. */
export function characters(text: string): string[] {
  return text.split('');
}

/** Any JavaScript string at all, lone surrogates and control characters included. */
export const anyText = fc
  .array(fc.oneof(fc.nat(0xff), fc.nat(0xffff)), { maxLength: 40 })
  .map((codes) => String.fromCharCode(...codes));
