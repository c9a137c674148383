/**
 * Where the endpoints of all variants are: listed in their definitions, or found by the sources that these name.
 *
 * It promises that a source is followed once, however many variants name it, from when the first is about to be served until none is;
 * that asking for endpoints never waits; and that a source in trouble changes nothing (see `keeper.ts`).
 */
import { type Target, targetOf } from '../config/endpoint-source.ts';
import { listedEndpoints, type VariantDefinition } from '../config/variant.ts';
import type { EndpointSnapshot } from '../contract/snapshot.ts';
import { createKeeper, type Keeper, type KeeperOptions } from './keeper.ts';
import type { DiscoveryReading } from '../telemetry/metrics-source.ts';
import type { SourceListener } from './source.ts';

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

export interface FollowingDiscovery extends Discovery {
  /**
   * A readiness, or why not yet: sources that have said nothing are waited for, until the time is over for which the start waits
   * for them.
   */
  readiness(of: Readiness): Readiness;
  readings(): readonly DiscoveryReading[];
  close(): void;
}

export interface Readiness {
  readonly ready: boolean;
  readonly reasons: readonly string[];
}

export interface DiscoveryOptions extends Pick<
  KeeperOptions,
  'keepEmpty' | 'allowLoopback' | 'monotonicNow' | 'after' | 'log'
> {
  /** Begins to follow a source; what it returns ends that. */
  readonly open: (target: Target, listener: SourceListener) => () => void;
  /** For how long the start waits for the first word of sources, in ms. */
  readonly startTimeout: number;
  /** Endpoints that are in use have changed. Called within the event, and often. */
  readonly onChange: () => void;
}

/** How long `prepare` waits for a new source, in ms: a write waits for it, and whoever made the write. */
const PATIENCE = 2000;

interface Source {
  readonly keeper: Keeper;
  readonly end: () => void;
}

export function createDiscovery(options: DiscoveryOptions): FollowingDiscovery {
  const { monotonicNow, after } = options;
  const sources = new Map<string, Source>();
  const startedAt = monotonicNow();
  let waiting: (() => void)[] = [];

  function changed(): void {
    for (const check of waiting) check();
    options.onChange();
  }

  function open(target: Target): Source {
    const keeper = createKeeper({ ...options, name: target.name, onChange: changed });
    const close = options.open(target, keeper);
    const end = (): void => {
      close();
      keeper.close();
    };
    return { keeper, end };
  }

  return {
    prepare(variants) {
      const begun: Keeper[] = [];
      for (const target of targetsOf(variants)) {
        if (sources.has(target.name)) continue;
        const source = open(target);
        sources.set(target.name, source);
        begun.push(source.keeper);
      }
      const done = (): boolean => begun.every(({ known }) => known);
      if (done()) return Promise.resolve();
      return new Promise((resolve) => {
        const end = (): void => {
          cancel();
          waiting = waiting.filter((one) => one !== check);
          resolve();
        };
        const check = (): void => {
          if (done()) end();
        };
        const cancel = after(PATIENCE, end);
        waiting.push(check);
      });
    },

    endpoints(variant) {
      const target = targetOf(variant);
      return target === null ? listedEndpoints(variant) : (sources.get(target.name)?.keeper.endpoints ?? []);
    },

    keepOnly(variants) {
      const wanted = new Set([...targetsOf(variants)].map(({ name }) => name));
      for (const [name, source] of sources) {
        if (wanted.has(name)) continue;
        source.end();
        sources.delete(name);
      }
    },

    readiness(of) {
      if (monotonicNow() - startedAt >= options.startTimeout) return of;
      const awaited = [...sources].filter(([, { keeper }]) => !keeper.known);
      if (awaited.length === 0) return of;
      const reasons = awaited.map(([name]) => `the endpoints of ${name} are not known yet`);
      return { ready: false, reasons: [...of.reasons, ...reasons] };
    },

    readings: () => [...sources.values()].map(({ keeper }) => keeper.reading()),

    close() {
      for (const { end } of sources.values()) end();
      sources.clear();
    },
  };
}

function targetsOf(variants: readonly VariantDefinition[]): Target[] {
  return variants.flatMap((variant) => targetOf(variant) ?? []);
}
