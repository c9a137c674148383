/**
 * All that the proxy works out for one request head, in process and without sockets: read, find the service and the client, decide,
 * make the head for the endpoint. What it costs is what a head can make the proxy spend.
 */
import { PROTOCOL_ERRORS } from '../../src/http1/protocol-errors.ts';
import { parseRequestHead, type HeadLimits } from '../../src/http1/request-head.ts';
import type { ClientSide } from '../../src/proxy/connection/client-side.ts';
import { upstreamRequestHead } from '../../src/proxy/exchange/forward-headers.ts';
import { refusalResponse } from '../../src/proxy/exchange/error-responses.ts';
import { makeVia } from '../../src/proxy/exchange/via.ts';
import { RequestContext } from '../../src/proxy/exchange/request-context.ts';
import type { Routing } from '../../src/proxy/routing.ts';
import type { WorkerContext } from '../../src/proxy/worker-context.ts';
import { AddressCache, parseAddress, UNKNOWN_ADDRESS } from '../../src/ip/address.ts';
import { compileContext, compilePolicy, type CompiledPolicy } from '../../src/policy/compile.ts';
import { decide } from '../../src/policy/decide.ts';
import { compileNetworks, EMPTY_NETWORKS, NetworkSet } from '../../src/ip/network.ts';
import type { Rule } from '../../src/policy/schema.ts';
import { compileServiceMatcher } from '../../src/policy/service-match.ts';
import { policySource } from './policy-source.ts';

/** The proxy's defaults. */
const LIMITS: HeadLimits = { requestLine: 8_192, head: 32_768, fields: 100 };
const NOW = 1_700_000_000;

const context = compileContext({
  segments: { office: compileNetworks(['203.0.113.0/24', '198.51.100.0/24', '2001:db8::/32']) },
  followPeers: EMPTY_NETWORKS,
  regionDatabase: null,
  keys: [{ id: 'k', secret: new Uint8Array(32).fill(7) }],
});

function policyOf(rules: readonly Rule[]): CompiledPolicy {
  const identity = [{ header: 'x-user' }, { cookie: 'serin_id', mint: true }, { fingerprint: true }] as const;
  return compilePolicy(policySource(rules, identity, 'running'), context);
}

/** None of them holds for the heads of these tests, so that all have to be asked. */
function manyRules(count: number): Rule[] {
  return Array.from({ length: count }, (_, number): Rule => {
    const kinds: NonNullable<Rule['match']>[] = [
      { header: { 'x-customer': { equals: `customer ${number}` } } },
      { header: { [`x-h${number}`]: { present: true } } },
      { cidr: `10.${number >> 8}.${number & 255}.0/24` },
      { device: { model: `SM-${number}` }, query: { beta: { present: true } } },
      { query: { [`q${number}`]: { equals: 'yes' } } },
      { cookie: { [`c${number}`]: { equals: 'yes' } } },
      { path: { prefix: `/shop/${number}` } },
      { header: { 'x-app-version': { semver: `>=9.${number}.0` } } },
    ];
    return { name: `r${number}`, match: kinds[number % kinds.length]!, percentage: 100 };
  });
}

const POLICIES = {
  plain: [
    {
      name: 'tablets',
      match: { device: { model: 'iPad', os: { name: 'ios', version: '>=17' } } },
      percentage: 100,
    },
    { name: 'office', match: { segment: 'office', device: { model: 'iPhone' } }, percentage: 10 },
    {
      name: 'beta',
      match: {
        header: { 'x-app-version': { semver: '>=8.2.0' } },
        query: { beta: { present: true } },
        cookie: { plan: { equals: 'pro' } },
      },
      percentage: 50,
    },
    { name: 'everyone', percentage: 10 },
  ] as readonly Rule[],
  many: manyRules(1_000),
} as const;

export type PolicySize = keyof typeof POLICIES;

/** Services by exact hosts, wildcards and prefixes, and one for all the rest. */
function services(): { hosts: string[]; pathPrefix: string }[] {
  return Array.from({ length: 100 }, (_, number) => {
    if (number === 0) return { hosts: ['*'], pathPrefix: '/' };
    const prefixes = ['/', '/api', `/team/${number}/app`];
    return {
      hosts: number % 3 === 0 ? [`*.w${number}.test`] : [`s${number}.test`],
      pathPrefix: prefixes[number % 2]!,
    };
  }).concat({ hosts: ['notes.test', '*.a.a'], pathPrefix: '/api' });
}

/** Works on one head; returns what it came to: the length of the forwarded head, or minus the number of the refusal. */
export type RequestWork = (bytes: Buffer) => number;

/** Work for a policy of three rules, or of a thousand. The peer is a trusted proxy, so that forwarding fields are read. */
export function createRequestWork(size: PolicySize): RequestWork {
  const policy = policyOf(POLICIES[size]);
  const matcher = compileServiceMatcher(services());
  const trustedProxies = new NetworkSet(compileNetworks(['127.0.0.0/8', '10.0.0.0/8']));
  const via = makeVia([]);
  const downstream = { peer: parseAddress('127.0.0.1') ?? UNKNOWN_ADDRESS, port: 8080, secure: false };
  const side = { downstream, trusted: true } as unknown as ClientSide;
  let ids = 0;
  const worker = {
    addresses: new AddressCache(),
    listenPort: 8080,
    mintRequestId: () => `request-${ids++}`,
  } as unknown as WorkerContext;
  const view = new RequestContext(worker);
  view.side = side;
  const routing = { trustedProxies, via } as unknown as Routing;
  const mint = (): string => `visitor-${String(ids++).padStart(14, '0')}`;
  return (bytes) => {
    const { head } = view;
    const used = parseRequestHead(bytes, 0, bytes.length, LIMITS, head);
    if (used <= 0) {
      const refusal = PROTOCOL_ERRORS[-used - 1];
      if (refusal !== undefined) refusalResponse(refusal, false, '');
      return used;
    }
    matcher.find(head.host, head.path);
    policy.rules?.isAmbiguous(head.path);
    view.begin(true);
    view.findClient(routing);
    decide(policy, view, 3, NOW, mint, view.decision);
    return upstreamRequestHead(head, view).length;
  };
}
