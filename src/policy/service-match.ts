/**
 * Which service a request is for, by host and path prefix.
 *
 * Exact hosts come before the longest wildcard, that before `*`; within a host the longest prefix wins, bounded by
 * segments. A path that servers may read in several ways is refused where the readings select different services, whether by its
 * escapes, backslashes, parameters, empty segments or dot segments.
 */
import { LRUCache } from 'lru-cache';
import { isUnambiguous, isUnder, normalisePath } from './path.ts';
import { readingsAgree, readingsOf } from './path-readings.ts';
import { standaloneText } from '../schema/latin1.ts';

export const UNKNOWN_SERVICE = -1;
export const AMBIGUOUS_PATH = -2;

export interface ServiceMatcher {
  /**
   * The index of the service for a raw Host value and a raw path without its query; UNKNOWN_SERVICE where there is
   * none, AMBIGUOUS_PATH where the path selects another service, or none, in another reading.
   */
  find(host: string, path: string): number;
}

interface MatchableService {
  readonly hosts: readonly string[];
  readonly pathPrefix: string;
}

/** One service as seen from one host. */
interface Candidate {
  readonly prefix: string;
  /** What servers may read it as; the prefix alone for nearly all. */
  readonly readings: readonly string[];
  readonly index: number;
  /** 0 for an exact host; for wildcards, the shorter the wildcard the larger. */
  readonly distance: number;
}

/** Host values kept with their candidates; a flood of invented hosts pushes out old ones, no more. */
const KNOWN_HOSTS = 1024;
const LONGEST_HOST = 300;

/** Compiles the matcher. Of services with the same host and prefix the first wins. */
export function compileServiceMatcher(services: readonly MatchableService[]): ServiceMatcher {
  const [only] = services;
  if (services.length === 1 && only!.hosts.includes('*') && only!.pathPrefix === '/')
    return { find: () => 0 };

  const exact = new Map<string, Candidate[]>();
  const wildcards = new Map<string, Candidate[]>();
  const everywhere: Candidate[] = [];
  for (const [index, service] of services.entries()) {
    const prefix = normalisePath(service.pathPrefix);
    const readings = readingsOf(prefix);
    for (const host of service.hosts) {
      const name = normaliseHost(host);
      if (name === '*') everywhere.push({ prefix, readings, index, distance: 1000 });
      else if (name.startsWith('*.')) {
        // `.example.com`, the dot included, so that `*.example.com` does not match example.com itself.
        add(wildcards, name.slice(1), {
          prefix,
          readings,
          index,
          distance: 999 - Math.min(998, name.length),
        });
      } else add(exact, name, { prefix, readings, index, distance: 0 });
    }
  }

  const longestWildcard = Math.max(0, ...[...wildcards.keys()].map((name) => name.length));
  const known = new LRUCache<string, readonly Candidate[]>({ max: KNOWN_HOSTS });
  const candidatesOf = (host: string): readonly Candidate[] => {
    const before = known.get(host);
    if (before !== undefined) return before;
    const name = normaliseHost(host);
    const found = [...(exact.get(name) ?? [])];
    // From where a wildcard could begin: a host of many labels must not cost a look-up of its whole rest for each of them.
    const from = Math.max(1, name.length - longestWildcard);
    for (let dot = name.indexOf('.', from); dot > 0; dot = name.indexOf('.', dot + 1)) {
      found.push(...(wildcards.get(name.slice(dot)) ?? []));
    }
    found.push(...everywhere);
    found.sort((a, b) => a.distance - b.distance || b.prefix.length - a.prefix.length || a.index - b.index);
    if (host.length <= LONGEST_HOST) known.set(standaloneText(host), found);
    return found;
  };

  return {
    find(host, path) {
      const candidates = candidatesOf(host);
      const chosen = select(candidates, path);
      if (candidates.length === 0 || isUnambiguous(path)) return chosen;
      if (candidates.length === 1 && candidates[0]!.prefix === '/') return chosen;
      return readingsAgree(path, (reading) => selectRead(candidates, reading)) ? chosen : AMBIGUOUS_PATH;
    },
  };
}

function add(to: Map<string, Candidate[]>, key: string, candidate: Candidate): void {
  const list = to.get(key);
  if (list === undefined) to.set(key, [candidate]);
  else list.push(candidate);
}

function select(candidates: readonly Candidate[], path: string): number {
  for (const candidate of candidates) {
    if (candidate.prefix === '/' || isUnder(path, candidate.prefix)) return candidate.index;
  }
  return UNKNOWN_SERVICE;
}

/** The same where the prefixes are read as the path may have been. */
function selectRead(candidates: readonly Candidate[], path: string): number {
  for (const { prefix, readings, index } of candidates) {
    if (prefix === '/' || readings.some((reading) => isUnder(path, reading))) return index;
  }
  return UNKNOWN_SERVICE;
}

/** A Host value in lower case, without its port and a trailing dot; an IPv6 literal keeps its brackets. */
export function normaliseHost(host: string): string {
  let name = host.toLowerCase();
  const bracket = name.lastIndexOf(']');
  const colon = name.indexOf(':', bracket + 1);
  if (colon >= 0) name = name.slice(0, colon);
  return name.endsWith('.') ? name.slice(0, -1) : name;
}
