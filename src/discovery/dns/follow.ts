/**
 * Follows a DNS name: asks again when the answer's time is over, a little earlier at random, so that replicas do not ask together.
 */
import type { DnsTarget } from '../../config/endpoint-source.ts';
import { asSourceError, type SourceListener } from '../source.ts';
import { type After, backoff, pause } from '../time.ts';
import { type DnsResolver, resolveEndpoints } from './resolve.ts';
import { detached } from '../../runtime/guard.ts';

export interface FollowDnsOptions {
  readonly resolver: DnsResolver;
  readonly target: DnsTarget;
  readonly listener: SourceListener;
  readonly after: After;
  /** Uniform in [0, 1). */
  readonly random: () => number;
}

/** However short or long an answer's time is, it is asked again after so long, in ms: a TTL of a day would outlive the pods. */
const SOONEST = 1000;
const LATEST = 60_000;
/** Where there is none: for names without records, and SRV targets without addresses. */
const WITHOUT_TTL = 5000;

/** Begins at once. What it returns ends it. */
export function followName({ resolver, target, listener, after, random }: FollowDnsOptions): () => void {
  const ending = new AbortController();
  const { signal } = ending;
  let failures = 0;

  async function ask(): Promise<number> {
    try {
      const { endpoints, ttl } = await resolveEndpoints(resolver, target);
      if (signal.aborted) return 0;
      failures = 0;
      listener.read();
      listener.inStep();
      listener.found({ usable: endpoints, out: NOTHING });
      const time = Math.min(LATEST, Math.max(SOONEST, ttl === null ? WITHOUT_TTL : ttl * 1000));
      return time * (0.9 + random() / 10);
    } catch (error) {
      if (signal.aborted) return 0;
      failures += 1;
      const { reason, message } = asSourceError(error);
      listener.trouble(reason, message);
      return backoff(failures, random);
    }
  }

  async function run(): Promise<void> {
    while (!signal.aborted) await pause(after, await ask(), signal);
  }

  detached('asking DNS', run());
  return () => ending.abort();
}

const NOTHING: ReadonlySet<string> = new Set();
