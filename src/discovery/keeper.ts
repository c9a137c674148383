/**
 * The keeper of one source's endpoints: what is used of what the source says, and what is kept when it says nothing.
 *
 * It promises:
 * - A source that can't be asked changes nothing, for however long.
 * - An endpoint that the source does not name, or calls unready, is given up at once while it names others. Where it names none and
 *   calls none unready, the endpoints of its last list are kept for a settable time: whoever empties a list by mistake (a selector, a
 *   restored cluster, a zone file) takes no traffic with it. Those that were announced to leave (a scale to zero, in order) are not kept.
 * - What was given up comes back only when the source names it again. An endpoint is there once, however often it is named.
 * - No address is used that requests are never sent to, whoever names it.
 */
import type { EndpointSnapshot } from '../contract/snapshot.ts';
import { parseAddress } from '../ip/address.ts';
import { refuseDestination } from '../ip/destination.ts';
import { endpointName } from '../upstream/endpoint.ts';
import type { DiscoveryReading } from '../telemetry/metrics-source.ts';
import type { Finding, FoundEndpoint, SourceListener, Trouble } from './source.ts';
import type { After } from './time.ts';

export interface KeeperOptions {
  /** The source's name. */
  readonly name: string;
  /** How long endpoints are kept that vanish without a word, in ms. */
  readonly keepEmpty: number;
  /** Whether an endpoint may be on this machine, where Serin's own API answers without a token. */
  readonly allowLoopback: boolean;
  /** Monotonic, in ms. */
  readonly monotonicNow: () => number;
  readonly after: After;
  readonly log: DiscoveryLog;
  /** The endpoints have changed, or are known for the first time. */
  readonly onChange: () => void;
}

export interface DiscoveryLog {
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

export interface Keeper extends SourceListener {
  /** In order of their addresses; the same list for as long as nothing changes. */
  readonly endpoints: readonly EndpointSnapshot[];
  /** Whether the source has said anything yet. */
  readonly known: boolean;
  reading(): DiscoveryReading;
  close(): void;
}

/** As many as a definition may list. */
const MOST_ENDPOINTS = 10_000;

/** How often the same trouble is logged again, in ms. */
const LOG_AGAIN = 60_000;

/** As many refused addresses are remembered, so that each is logged once. */
const MOST_REFUSED = 1000;

export function createKeeper(options: KeeperOptions): Keeper {
  const { name, keepEmpty, monotonicNow, after, log, onChange } = options;
  const fields = { 'serin.source': name };
  let used: readonly FoundEndpoint[] = [];
  let endpoints: readonly EndpointSnapshot[] = [];
  let known = false;
  let synced = false;
  let lastInStep = monotonicNow();
  /** Ends the time for which vanished endpoints are kept. */
  let cancelHold: (() => void) | null = null;
  const counts = { events: 0, reads: 0, refused: 0 };
  const troubles = new Map<Trouble, number>();
  const told = new Set<string>();
  let last: { reason: Trouble; at: number } | null = null;

  function use(next: readonly FoundEndpoint[]): void {
    const first = !known;
    known = true;
    used = next;
    if (!first && alike(endpoints, next)) return;
    endpoints = next.map(({ host, port, weight }) => ({ host, port, weight }));
    onChange();
  }

  function endHold(): void {
    cancelHold?.();
    cancelHold = null;
  }

  function hold(kept: readonly FoundEndpoint[]): void {
    use(kept);
    if (cancelHold !== null) return;
    log.error(
      { ...fields, 'serin.endpoints': kept.length, 'serin.keep_ms': keepEmpty },
      'a source names no endpoints any more; the last known ones are used for now',
    );
    cancelHold = after(keepEmpty, () => {
      cancelHold = null;
      log.error(fields, 'a source still names no endpoints; the last known ones are given up');
      use([]);
    });
  }

  function allowed(found: readonly FoundEndpoint[]): FoundEndpoint[] {
    const byName = new Map<string, FoundEndpoint>();
    for (const endpoint of found) {
      const { port } = endpoint;
      const address = parseAddress(endpoint.host);
      const host = address?.text ?? endpoint.host;
      const at = endpointName(host, port);
      const detail = address === null ? 'is no address' : refuseDestination(address, options.allowLoopback);
      if (detail === null) byName.set(at, together({ ...endpoint, host }, byName.get(at)));
      else refuse(at, detail);
    }
    const all = sorted(byName);
    if (all.length <= MOST_ENDPOINTS) return all;
    log.warn({ ...fields, 'serin.endpoints': all.length }, 'a source names more endpoints than are used');
    return all.slice(0, MOST_ENDPOINTS);
  }

  function refuse(at: string, detail: string): void {
    if (told.has(at) || told.size >= MOST_REFUSED) return;
    told.add(at);
    counts.refused += 1;
    log.warn({ ...fields, 'server.address': at }, `an endpoint is left out: ${at} ${detail}`);
  }

  return {
    get endpoints() {
      return endpoints;
    },
    get known() {
      return known;
    },
    found({ usable, out }: Finding) {
      const next = allowed(usable);
      if (next.length > 0) {
        if (cancelHold !== null)
          log.info({ ...fields, 'serin.endpoints': next.length }, 'a source names endpoints again');
        endHold();
        use(next);
        return;
      }
      // Whoever calls one unready knows what it says.
      const kept = out.size > 0 ? [] : used.filter(({ leaving }) => !leaving);
      if (kept.length > 0 && keepEmpty > 0) {
        hold(kept);
        return;
      }
      endHold();
      use([]);
    },
    read() {
      counts.reads += 1;
    },
    event() {
      counts.events += 1;
    },
    inStep() {
      if (last !== null) log.info(fields, 'a source of endpoints answers again');
      last = null;
      synced = true;
    },
    trouble(reason, detail) {
      const at = monotonicNow();
      if (synced) lastInStep = at;
      synced = false;
      troubles.set(reason, (troubles.get(reason) ?? 0) + 1);
      if (last !== null && last.reason === reason && at - last.at < LOG_AGAIN) return;
      last = { reason, at };
      log.warn(
        { ...fields, 'error.type': reason, 'serin.endpoints': endpoints.length },
        `a source of endpoints fails, the last known ones are used: ${detail}`,
      );
    },
    reading: () => ({
      name,
      synced,
      staleSeconds: synced ? 0 : Math.max(0, monotonicNow() - lastInStep) / 1000,
      endpoints: endpoints.length,
      holding: cancelHold !== null,
      ...counts,
      troubles,
    }),
    close: endHold,
  };
}

function alike(a: readonly EndpointSnapshot[], b: readonly EndpointSnapshot[]): boolean {
  return (
    a.length === b.length &&
    a.every((one, index) => {
      const other = b[index]!;
      return one.host === other.host && one.port === other.port && one.weight === other.weight;
    })
  );
}

function sorted(byName: ReadonlyMap<string, FoundEndpoint>): FoundEndpoint[] {
  return [...byName].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, endpoint]) => endpoint);
}

/** What is said twice of an endpoint, as one: in whatever order it is said. */
function together(one: FoundEndpoint, other: FoundEndpoint = one): FoundEndpoint {
  return {
    ...one,
    weight: Math.max(one.weight, other.weight),
    leaving: one.leaving && other.leaving,
  };
}
