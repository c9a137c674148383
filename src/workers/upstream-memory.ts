/**
 * The shared memory about endpoints, as the main thread hands it out: one set of blocks for each service.
 *
 * Promise: blocks last as long as the list of endpoints is the same; when it changes, what health checks said of an endpoint
 * moves with it, so that a sick one is not thought to be well for a moment.
 */
import { endpointName } from '../upstream/endpoint.ts';
import { replicaBlocks, type ReplicaBlocks } from '../upstream/shared-blocks.ts';
import type { ServiceSnapshot, Snapshot } from '../contract/snapshot.ts';

export interface UpstreamMemory {
  /** Makes the blocks that the services need. */
  allocate(services: Snapshot['services']): void;
  of(service: string): ReplicaBlocks | null;
}

interface Entry {
  /** Endpoints in the order of the blocks, stable's first. */
  readonly names: readonly string[];
  readonly blocks: ReplicaBlocks;
}

export function createUpstreamMemory(workers: number): UpstreamMemory {
  const entries = new Map<string, Entry>();
  return {
    allocate(services) {
      for (const service of services) {
        const before = entries.get(service.name) ?? null;
        const names = namesOf(service);
        if (before !== null && alike(before.names, names)) continue;
        const blocks = replicaBlocks(names.length, workers, before?.blocks ?? null);
        if (before !== null) moveHealth(before, names, blocks);
        entries.set(service.name, { names, blocks });
      }
    },
    of: (service) => entries.get(service)?.blocks ?? null,
  };
}

function namesOf({ stable, canary }: ServiceSnapshot): string[] {
  const name = (variant: string) => (at: { host: string; port: number }) =>
    `${variant} ${endpointName(at.host, at.port)}`;
  return [...stable.endpoints.map(name('stable')), ...canary.endpoints.map(name('canary'))];
}

function alike(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((name, index) => name === b[index]);
}

function moveHealth(before: Entry, names: readonly string[], blocks: ReplicaBlocks): void {
  const from = new Uint8Array(before.blocks.health);
  const to = new Uint8Array(blocks.health);
  const known = new Map(before.names.map((name, index) => [name, from[index]!]));
  for (const [index, name] of names.entries()) to[index] = known.get(name) ?? 0;
}
