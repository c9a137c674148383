/**
 * Compiled networks by content: a list is compiled once, however many rules, services and revisions have it.
 *
 * Many networks are compiled in the helper thread, so that the main thread, and with it a rollback, never waits.
 */
import { compileNetworks, type NetworkSetData } from '../ip/network.ts';
import type { Helper } from '../helper/helper.ts';

/** So many networks take about 5 ms to compile; more go to the helper. */
const MOST_AT_ONCE = 2000;

export interface NetworkCache {
  readonly compiled: ReadonlyMap<string, NetworkSetData>;
  /** Makes sure that every list is compiled. Rejects with the DocumentError of `compileNetworks`. */
  compile(lists: ReadonlyMap<string, readonly string[]>): Promise<void>;
  /** Forgets every list but these. */
  keepOnly(keys: ReadonlySet<string> | ReadonlyMap<string, unknown>): void;
}

export function createNetworkCache(helper: Helper): NetworkCache {
  const compiled = new Map<string, NetworkSetData>();
  return {
    compiled,
    async compile(lists) {
      const missing = [...lists].filter(([key]) => !compiled.has(key));
      const size = missing.reduce((sum, [, list]) => sum + list.length, 0);
      const cidrs = missing.map(([, list]) => list);
      const data =
        size <= MOST_AT_ONCE ? cidrs.map((list) => compileNetworks(list)) : await helper.compile(cidrs);
      for (const [index, [key]] of missing.entries()) compiled.set(key, data[index]!);
    },
    keepOnly(keys) {
      for (const key of compiled.keys()) if (!keys.has(key)) compiled.delete(key);
    },
  };
}
