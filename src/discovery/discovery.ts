/**
 * Where a variant's endpoints are: listed in its definition, or found by a source that the definition names.
 */
import { listedEndpoints } from '../config/upstream-defaults.ts';
import type { VariantDefinition } from '../config/upstream-schema.ts';
import type { EndpointSnapshot } from '../data-plane/snapshot.ts';

export interface Discovery {
  /**
   * Begins to follow the sources that these variants name and waits a moment for the first word of those that are new: one that
   * is known already is never waited for. Never rejects.
   */
  prepare(variants: readonly VariantDefinition[]): Promise<void>;
  /** The endpoints of a variant at this moment, in an order that changes no more than they do. */
  readonly endpoints: (variant: VariantDefinition) => readonly EndpointSnapshot[];
  /** Follows no other sources than these variants' any more. */
  keepOnly(variants: readonly VariantDefinition[]): void;
}

/** Knows listed endpoints alone. */
export const LISTED_ONLY: Discovery = {
  prepare: async () => {},
  endpoints: listedEndpoints,
  keepOnly: () => {},
};
