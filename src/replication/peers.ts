/**
 * The replicas' direct talk: what one says reaches all others at once, without the store.
 *
 * Saying never waits and never fails; whether it was heard shows in what the others say. A rollback is said to each peer until
 * it has acknowledged it, but an acknowledgement is one of that process: whoever knows of a rollback that the store
 * does not have says it again with each beat, for those who have started since. Messages are authenticated by the key
 * ring and not encrypted: they hold no secret.
 */
import { createWarnings, FEW } from '../telemetry/warnings.ts';
import type { KeyData } from '../policy/keys.ts';
import type { FleetCounters } from '../telemetry/fleet-counters.ts';
import type { Logger } from '../telemetry/log.ts';
import { createPeerLink, type PeerLink } from './peer-link.ts';
import type { PeerMessage } from './peer-message.ts';
import { createPeerSeal } from './peer-seal.ts';
import { startPeerServer } from './peer-server.ts';
import { after, guarded } from '../runtime/guard.ts';

/** The same trouble with the same peer is logged once in so many ms. */
const QUIET_TIME = 60_000;
/** How long `close` waits for what is under way, in ms. */
const CLOSE_TIME = 500;
/** Kinds of trouble that are remembered. */
const MOST_TROUBLES = 1000;

export interface PeersOptions {
  /** Port 0 takes a free one. */
  readonly listen: { readonly host: string; readonly port: number };
  /** The key ring as it is now. */
  readonly keys: () => readonly KeyData[];
  /** The name of this replica. */
  readonly self: string;
  /**
   * What a peer says. It is acknowledged when this returns or resolves: whoever stores a rollback first can promise it.
   * `from` is the sender, verified.
   */
  readonly onMessage: (message: PeerMessage, from: string) => void | Promise<void>;
  /** Milliseconds, from any moment on. */
  readonly monotonicNow: () => number;
  readonly log: Logger;
  readonly counters: FleetCounters;
}

export interface Peers {
  readonly port: number;
  /** The peers from now on, by name: their `host:port`. This replica itself is left out of account. */
  connect(addresses: ReadonlyMap<string, string>): void;
  /** Says it to every peer. */
  send(message: PeerMessage): void;
  /** Lets what is under way end, for a moment. */
  close(): Promise<void>;
}

/** Listens. Rejects with the system's error (EADDRINUSE, EACCES, …) when it cannot. */
export async function createPeers(options: PeersOptions): Promise<Peers> {
  const { self, monotonicNow, log, counters } = options;
  const seal = createPeerSeal(options.keys);
  const troubles = new Map<string, number>();
  const warn = (peer: string, reason: string, text: string, detail: string): void => {
    const kind = `${peer} ${reason} ${text}`;
    const now = monotonicNow();
    if (now - (troubles.get(kind) ?? -Infinity) < QUIET_TIME) return;
    if (troubles.size >= MOST_TROUBLES) troubles.clear();
    troubles.set(kind, now);
    log.warn({ 'serin.peer': peer, 'serin.reason': reason, 'serin.detail': detail }, text);
  };
  // Who a refused message claims to be from is anybody's choice, so they are counted by their reason.
  const warnOfRefusal = createWarnings(log, monotonicNow, FEW);
  const server = await startPeerServer({
    listen: options.listen,
    self,
    seal,
    onMessage: options.onMessage,
    onRefused: (reason, from, detail) =>
      warnOfRefusal(
        { 'serin.peer': from, 'serin.reason': reason, 'serin.detail': detail },
        'a message of a replica is refused',
        reason,
      ),
    counters,
  });
  const links = new Map<string, PeerLink>();

  function link(peer: string, address: string): PeerLink {
    return createPeerLink({
      address,
      self,
      peer,
      seal,
      counters,
      onFailure: (name, reason, detail) => warn(name, reason, 'a replica does not take messages', detail),
    });
  }

  return {
    port: server.port,
    connect(addresses) {
      for (const [name, former] of links) {
        if (addresses.get(name) === former.address) continue;
        links.delete(name);
        former.close();
        const address = addresses.get(name);
        if (address === undefined) continue;
        const next = link(name, address);
        links.set(name, next);
        const rollbacks = former.owed();
        if (rollbacks.length > 0) next.say({ type: 'rollback', rollbacks }, '');
      }
      for (const [name, address] of addresses) {
        if (name !== self && !links.has(name)) links.set(name, link(name, address));
      }
    },
    send(message) {
      const text = JSON.stringify(message);
      for (const one of links.values()) one.say(message, text);
    },
    async close() {
      let timer: NodeJS.Timeout | undefined;
      const late = new Promise<void>((resolve) => {
        timer = after(CLOSE_TIME, guarded('the end of the talk with peers', resolve));
      });
      await Promise.race([Promise.all([...links.values()].map((one) => one.settled())), late]);
      clearTimeout(timer);
      for (const one of links.values()) one.close();
      links.clear();
      await server.close();
    },
  };
}
