/**
 * What a rollout and a decision are: plain data that the store keeps, that travels to the workers, and that
 * the API shows. No behaviour lives here. Everything is structured-cloneable and JSON-safe.
 */
import type { RolloutDocument } from './schema.ts';

export type Variant = 'stable' | 'canary';

export type Phase = 'idle' | 'running' | 'paused' | 'promoted' | 'rolledBack';

/** The state of one service's rollout, as the store keeps it. */
export interface RolloutState {
  /** Random, unique for ever; latches name it, so a new rollout voids every latch at once. */
  readonly id: string;
  /** 1 for the service's first rollout, one more for each next one. */
  readonly epoch: number;
  /** 16 random bytes in hex; part of the bucket's salt, so each release exposes other users first. */
  readonly seed: string;
  /** Pinned for the life of the rollout, so that an upgrade of the proxy moves nobody. */
  readonly bucketAlgorithm: 'xxh64-1';
  /** The id of the key (see `keys.ts`) that fingerprints use for as long as this rollout runs. */
  readonly fingerprintKey: string;
  readonly phase: Phase;
  readonly document: RolloutDocument;
  /** Index into `document.steps` of the last step taken; -1 before the first. */
  readonly step: number;
  /** RFC 3339. */
  readonly startedAt: string;
}

/** Why a decision came out as it did, in the safety order of a decision. */
export const REASONS = [
  'idle',
  'rolledBack',
  'promoted',
  'exclude',
  'override',
  'follow',
  'latch',
  'rule',
  'noMatch',
] as const;
export type Reason = (typeof REASONS)[number];

/** Which kind of identity tier spoke; `none` where no identity was needed. */
export const TIERS = ['none', 'header', 'cookie', 'minted', 'fingerprint'] as const;
export type Tier = (typeof TIERS)[number];
