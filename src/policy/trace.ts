/**
 * What deciding finds on its way: who the user is, which latch and override came along.
 *
 * There is one, since deciding is synchronous: it is filled anew by each decision, read by its later steps and by
 * `explain`, and allocates nothing.
 */
import type { MintedId } from './identity/identity-chain.ts';
import type { Latch } from './latch/latch.ts';

export interface Trace {
  /** Index of the tier that spoke; -1 for none. */
  tier: number;
  /** What stands for the user: a wire text; '' for none, and for a fingerprint that nothing needed. */
  identity: string;
  minted: MintedId | null;
  /** A cookie that should be a minted id did not verify. */
  forgedId: boolean;
  /** It looked like one of another key ring. */
  strangeId: boolean;
  /** A genuine minted id that came as well and does not count. */
  otherId: MintedId | null;
  /** Hash of the identity, 53 bits; -1 while nothing needed it. */
  hash: number;
  latch: Latch | null;
  /** The latch cookie's value, whatever it is worth. */
  latchCookie: string | undefined;
  override: 'none' | 'always' | 'never' | 'invalid';
}

export const trace: Trace = {
  tier: -1,
  identity: '',
  minted: null,
  forgedId: false,
  strangeId: false,
  otherId: null,
  hash: -1,
  latch: null,
  latchCookie: undefined,
  override: 'none',
};

/** Forgets the last request. */
export function resetTrace(): void {
  trace.tier = -1;
  trace.identity = '';
  trace.minted = null;
  trace.forgedId = false;
  trace.strangeId = false;
  trace.otherId = null;
  trace.hash = -1;
  trace.latch = null;
  trace.latchCookie = undefined;
  trace.override = 'none';
}
