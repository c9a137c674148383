/**
 * From all slices of a Service to its endpoints at one port, as kube-proxy would use them. Pure.
 *
 * - An endpoint may be in several slices while the controller moves it; it counts once, and as well as any of them says.
 * - Endpoints that are ready are used. Where none is, those that terminate but still serve are (KEP-1669): better they than nobody.
 * - In a dual-stack cluster each pod is in a slice of either family; IPv4 is used where it has anything to use. Both would be each pod
 *   twice, and what the families differ in is the way there, of which IPv4's is the one that every dual-stack cluster has.
 */
import { endpointName } from '../../upstream/endpoint.ts';
import type { Finding, FoundEndpoint } from '../source.ts';
import type { Slice, SliceEndpoint, SlicePort } from './objects.ts';

/** How good an endpoint is: not to be used, only if there is none better, or to be used. */
const OUT = 0;
const LAST_RESORT = 1;
const READY = 2;

interface Merged {
  readonly host: string;
  readonly port: number;
  readonly family: 4 | 6;
  standing: number;
  terminating: boolean;
}

/** `port` is a port's name, or the number that the pods listen on. */
export function mergeSlices(slices: Iterable<Slice>, port: string | number): Finding {
  const merged = new Map<string, Merged>();
  for (const { family: said, ports, endpoints } of slices) {
    if (said === 0) continue;
    const number = portOf(ports, port);
    if (number === null) continue;
    for (const endpoint of endpoints) {
      const name = endpointName(endpoint.address, number);
      const standing = standingOf(endpoint);
      const known = merged.get(name);
      if (known === undefined) {
        const { address: host, terminating } = endpoint;
        // A mapped address is IPv4, whatever its slice is for.
        const family = host.includes(':') ? 6 : 4;
        merged.set(name, { host, port: number, family, standing, terminating });
      } else if (standing > known.standing) {
        known.standing = standing;
        known.terminating = endpoint.terminating;
      }
    }
  }
  const all = [...merged.values()];
  const used = new Set(usableOf(all.filter(({ family }) => family === 4)));
  if (used.size === 0) for (const one of usableOf(all.filter(({ family }) => family === 6))) used.add(one);
  const usable = [...used].map(({ host, port: number, terminating }): FoundEndpoint => ({
    host,
    port: number,
    weight: 1,
    leaving: terminating,
  }));
  const out = [...merged].flatMap(([name, one]) => (used.has(one) ? [] : [name]));
  return { usable, out: new Set(out) };
}

/** The ports by which these slices could be asked for, for people. */
export function portsOf(slices: Iterable<Slice>): string[] {
  const names = new Set<string>();
  for (const { ports } of slices)
    for (const { name, port } of ports)
      names.add([name, port ?? ''].filter((part) => part !== '').join(' = '));
  return [...names].filter((name) => name !== '');
}

/** The number of the port in a slice; null where it has none such. */
function portOf(ports: readonly SlicePort[], wanted: string | number): number | null {
  if (typeof wanted === 'string') return ports.find(({ name }) => name === wanted)?.port ?? null;
  // A slice without ports, or with one that has no number, leaves it to its reader.
  const listed = ports.length === 0 || ports.some(({ port }) => port === wanted || port === null);
  return listed ? wanted : null;
}

function standingOf({ ready, serving, terminating }: SliceEndpoint): number {
  if (ready) return READY;
  return serving && terminating ? LAST_RESORT : OUT;
}

function usableOf(endpoints: readonly Merged[]): Merged[] {
  const ready = endpoints.filter(({ standing }) => standing === READY);
  return ready.length > 0 ? ready : endpoints.filter(({ standing }) => standing === LAST_RESORT);
}
