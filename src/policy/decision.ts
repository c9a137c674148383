/** A decision: which variant one request gets, why, and what follows from it. */
import type { Reason, Tier, Variant } from './rollout.ts';

/** Reusable and mutable, so that a connection needs one for all its requests. */
export interface Decision {
  variant: Variant;
  /** The variant before a fallback; analysis books outcomes on it. */
  assigned: Variant;
  fallback: boolean;
  /** Nothing may serve this request: answer 503. */
  unavailable: boolean;
  reason: Reason;
  /** The rule or exclude rule that decided; '' for none. */
  rule: string;
  /** -1 where none was needed or the request has no identity. */
  bucket: number;
  tier: Tier;
  /** 53 bits that stand for the user in this rollout; 0 where no identity was needed. */
  identityHash: number;
  epoch: number;
  revision: number;
  /** Complete `Set-Cookie` lines with CRLF, or ''. */
  setCookies: string;
  /** The request carries an override cookie, to be removed before it is forwarded. */
  stripCookie: boolean;
  /** The same of another id that the request has and that does not count; 0 where there is none, as nearly always. */
  otherHash: number;
  /** A CORS preflight: it carries no cookies, so it may differ from the request it announces. */
  preflight: boolean;
  /** Another decision for this user must be the same while the revision is: flips are looked for. */
  comparable: boolean;
  /** A latch that every replica has to know, since this client may keep no cookie; '' for none. */
  remember: string;
}

export function newDecision(): Decision {
  return {
    variant: 'stable',
    assigned: 'stable',
    fallback: false,
    unavailable: false,
    reason: 'idle',
    rule: '',
    bucket: -1,
    tier: 'none',
    identityHash: 0,
    otherHash: 0,
    epoch: 0,
    revision: 0,
    setCookies: '',
    stripCookie: false,
    preflight: false,
    comparable: false,
    remember: '',
  };
}
