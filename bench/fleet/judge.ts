/**
 * Judges every decision that the replicas logged: at the revision by which it was made, the policy's own code must name the
 * same variant for that user. So no user can have had two variants at one revision, on whichever worker.
 */
import { cookieSettings, serviceSettings } from '../../src/config/service.ts';
import { parseAddress, type ClientAddress } from '../../src/ip/address.ts';
import { compileContext, compilePolicy, type CompiledPolicy } from '../../src/policy/compile.ts';
import { decide } from '../../src/policy/decide.ts';
import { newDecision } from '../../src/policy/decision.ts';
import type { RequestFacts } from '../../src/policy/facts.ts';
import type { KeyData } from '../../src/policy/keys.ts';
import { EMPTY_NETWORKS } from '../../src/ip/network.ts';
import type { IdentityTier } from '../../src/policy/identity/identity-tier.ts';
import type { Commit } from '../../src/store/store.ts';
import type { Decided } from './replicas.ts';

export interface Judge {
  /** A commit of the store, in any order, any number of times. */
  learn(commit: Commit): void;
  see(decided: Decided): void;
  readonly findings: Findings;
  /** Decisions by revisions that nobody has told of. */
  waiting(): number;
}

export interface Findings {
  judged: number;
  canary: number;
  /** Decisions for another variant than the revision names, in words. */
  readonly wrong: string[];
  /** Requests that went to an endpoint of another variant than was decided. */
  readonly astray: string[];
  /** Regular users seen at one revision on several replicas. */
  metAgain: number;
  /** Revisions that stand for two different changes, in words. */
  readonly twoHistories: string[];
}

/** Revisions whose policies are kept compiled. */
const KEPT = 500;
/** Revisions behind the newest whose sightings of regular users are kept. */
const SEEN_KEPT = 200;

export function createJudge(options: {
  readonly service: string;
  readonly identity: readonly IdentityTier[];
  readonly keys: readonly KeyData[];
  readonly regulars: number;
  /** `host:port` by variant. */
  readonly endpoints: Readonly<Record<string, string>>;
}): Judge {
  const { service, identity, keys, regulars, endpoints } = options;
  const context = compileContext({
    segments: {},
    followPeers: EMPTY_NETWORKS,
    regionDatabase: null,
    keys: [...keys],
  });
  const empty = { hosts: ['*'], stable: { endpoints: [] } };
  const commits = new Map<number, Commit>();
  const compiled = new Map<number, CompiledPolicy>();
  const waiting = new Map<number, Decided[]>();
  /** By revision: the replica that first met each regular user. */
  const met = new Map<number, Map<number, string>>();
  const findings: Findings = {
    judged: 0,
    canary: 0,
    wrong: [],
    astray: [],
    metAgain: 0,
    twoHistories: [],
  };
  const peer = parseAddress('127.0.0.1') as ClientAddress;
  const out = newDecision();
  let user = '';
  const facts: RequestFacts = {
    method: 'GET',
    path: '/',
    query: '',
    client: peer,
    peer,
    secure: false,
    header: (name) => (name === 'x-user-id' ? user : undefined),
    cookie: () => undefined,
    otherCookies: () => [],
  };

  function policyOf(commit: Commit): CompiledPolicy {
    let policy = compiled.get(commit.revision);
    if (policy !== undefined) return policy;
    policy = compilePolicy(
      {
        name: service,
        pathPrefix: '/',
        identity,
        cookies: cookieSettings(empty),
        follow: [],
        settings: serviceSettings(empty),
        networks: {},
        rollout: commit.document?.rollout ?? null,
        revision: commit.revision,
      },
      context,
    );
    compiled.set(commit.revision, policy);
    if (compiled.size > KEPT) compiled.delete(compiled.keys().next().value as number);
    return policy;
  }

  function judge(decided: Decided, commit: Commit): void {
    const { variant, revision, path, replica, worker } = decided;
    user = `u${path.slice(3)}`;
    const expected = decide(
      policyOf(commit),
      facts,
      3,
      Math.floor(decided.time / 1000),
      () => '',
      out,
    ).variant;
    findings.judged += 1;
    if (variant === 'canary') findings.canary += 1;
    if (expected !== variant)
      findings.wrong.push(
        `${new Date(decided.time).toISOString()} ${user} at revision ${revision}: ${variant} on ${replica}/${worker}, the policy says ${expected}`,
      );
    const number = Number(path.slice(3));
    if (number < regulars) meet(number, decided);
  }

  function meet(number: number, { revision, replica }: Decided): void {
    let seen = met.get(revision);
    if (seen === undefined) {
      seen = new Map<number, string>();
      met.set(revision, seen);
      if (met.size > SEEN_KEPT) met.delete(met.keys().next().value as number);
    }
    const first = seen.get(number);
    if (first === undefined) seen.set(number, replica);
    else if (first !== replica) findings.metAgain += 1;
  }

  return {
    findings,
    learn(commit) {
      const known = commits.get(commit.revision);
      if (known !== undefined) {
        if (known.changeId !== commit.changeId)
          findings.twoHistories.push(`${commit.revision}: ${known.changeId}, ${commit.changeId}`);
        return;
      }
      commits.set(commit.revision, commit);
      if (commit.service !== service) return;
      for (const decided of waiting.get(commit.revision) ?? []) judge(decided, commit);
      waiting.delete(commit.revision);
    },
    see(decided) {
      if (decided.service !== service || decided.revision < 1) return;
      const should = endpoints[decided.variant];
      if (decided.status === 200 && decided.endpoint !== should)
        findings.astray.push(`${decided.path}: ${decided.variant} at ${decided.endpoint}`);
      const commit = commits.get(decided.revision);
      if (commit !== undefined && commit.service === service) {
        judge(decided, commit);
        return;
      }
      const list = waiting.get(decided.revision);
      if (list === undefined) waiting.set(decided.revision, [decided]);
      else list.push(decided);
    },
    waiting: () => [...waiting.values()].reduce((sum, list) => sum + list.length, 0),
  };
}
