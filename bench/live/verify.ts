/**
 * Judges what the users saw: each answer must come from the variant that the decision code names for a revision that
 * may have been in force at that moment. Between two changes that is one revision; a request that overlaps a change
 * may have met either side of it.
 */
import { parseAddress, type ClientAddress } from '../../src/ip/address.ts';
import {
  compileContext,
  compilePolicy,
  type CompiledPolicy,
  type ContextSource,
  type PolicySource,
} from '../../src/policy/compile.ts';
import { decide } from '../../src/policy/decide.ts';
import { newDecision } from '../../src/policy/decision.ts';
import type { RequestFacts } from '../../src/policy/facts.ts';
import type { RolloutState, Variant } from '../../src/policy/rollout.ts';
import type { Sent } from './load.ts';
import { fieldsOf } from './users.ts';

/** A revision and when it can have been in force. Times in milliseconds of `performance.now`. */
export interface Era {
  readonly revision: number;
  readonly what: string;
  readonly rollout: RolloutState | null;
  /** Its write was sent then: before, no worker can have decided by it. */
  readonly sentAt: number;
  /** It was known to be APPLIED then: after, no worker can have decided by an older one. */
  readonly appliedAt: number;
}

export interface Findings {
  readonly requests: number;
  readonly failed: readonly string[];
  /** Answers from a variant that no revision of the moment names. */
  readonly wrong: readonly string[];
  /** A user went from one variant to the other and no write and no move of the user explains it. */
  readonly flips: readonly string[];
  /** Answers that could be judged by exactly one revision. */
  readonly exact: number;
  readonly canary: number;
  /** Users who were moved by writes, as the policies say. */
  readonly moved: number;
  readonly byKind: Readonly<Record<string, { requests: number; canary: number }>>;
}

const BOTH_USABLE = 3;

/** The facts of a request that a user sent, as the proxy behind one trusted peer sees them. */
function factsOf(sent: Sent, peer: ClientAddress): RequestFacts {
  const fields = new Map(fieldsOf(sent.user, sent.address).filter(([name]) => name !== 'cookie'));
  if (sent.cookies !== '') fields.set('cookie', sent.cookies);
  const cookies = new Map(
    sent.cookies
      .split('; ')
      .map((pair) => [pair.slice(0, pair.indexOf('=')), pair.slice(pair.indexOf('=') + 1)]),
  );
  return {
    method: 'GET',
    path: '/live',
    query: '',
    client: parseAddress(sent.address) ?? peer,
    peer,
    secure: false,
    header: (name) => fields.get(name),
    cookie: (name) => cookies.get(name),
    otherCookies: () => [],
  };
}

/** Which eras may have been in force between two moments: from the last one applied before to the last one sent by then. */
function erasOf(eras: readonly Era[], from: number, to: number): readonly Era[] {
  let first = 0;
  let last = 0;
  for (let index = 0; index < eras.length; index++) {
    const era = eras[index] as Era;
    if (era.appliedAt <= from) first = index;
    if (era.sentAt <= to) last = index;
  }
  return eras.slice(first, last + 1);
}

/** Judges all records. `eras` begin with one that was applied before the first request. */
export function verify(
  records: readonly Sent[],
  eras: readonly Era[],
  service: Omit<PolicySource, 'rollout' | 'revision'>,
  source: ContextSource,
  peerText: string,
  startedSeconds: number,
): Findings {
  const context = compileContext(source);
  const policies = new Map<number, CompiledPolicy>();
  for (const { revision, rollout } of eras) {
    policies.set(revision, compilePolicy({ ...service, rollout, revision }, context));
  }
  const peer = parseAddress(peerText) as ClientAddress;
  const out = newDecision();
  const failed: string[] = [];
  const wrong: string[] = [];
  const flips: string[] = [];
  const byKind: Record<string, { requests: number; canary: number }> = {};
  const last = new Map<number, { sent: Sent; era: Era | null }>();
  let exact = 0;
  let canary = 0;
  let moved = 0;

  const name = ({ user, address }: Sent) => `user ${user.index} (${user.kind}) from ${address}`;
  const decideFor = (sent: Sent, era: Era): Variant =>
    // The real id is minted by the proxy; which one does not matter for the first answer, the fingerprint decides it.
    decide(
      policies.get(era.revision) as CompiledPolicy,
      factsOf(sent, peer),
      BOTH_USABLE,
      startedSeconds,
      () => 'A'.repeat(24),
      out,
    ).variant;

  for (const sent of records) {
    const kind = (byKind[sent.user.kind] ??= { requests: 0, canary: 0 });
    kind.requests += 1;
    if (sent.failure !== '') {
      failed.push(`${name(sent)}: ${sent.failure}`);
      continue;
    }
    if (sent.variant === 'canary') {
      canary += 1;
      kind.canary += 1;
    }
    const possible = erasOf(eras, sent.sentAt, sent.doneAt);
    const only = possible.length === 1 ? (possible[0] as Era) : null;
    if (only !== null) exact += 1;
    if (!possible.some((era) => decideFor(sent, era) === sent.variant)) {
      const names = possible.map((era) => `${era.revision} (${era.what})`).join(', ');
      wrong.push(
        `${name(sent)} got ${sent.variant}, cookies «${sent.cookies}»; revisions ${names} say otherwise`,
      );
    }
    const before = last.get(sent.user.index);
    if (before !== undefined && before.sent.variant !== sent.variant) {
      const sameMoment = only !== null && before.era === only;
      const gained = before.sent.variant === 'stable' && before.sent.address !== sent.address;
      if (sameMoment && !gained)
        flips.push(`${name(sent)}: ${before.sent.variant} then ${sent.variant} in revision ${only.revision}`);
      if (!sameMoment) moved += 1;
    }
    last.set(sent.user.index, { sent, era: only });
  }
  return { requests: records.length, failed, wrong, flips, exact, canary, moved, byKind };
}
