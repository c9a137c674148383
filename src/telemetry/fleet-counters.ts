/** What a replica counts of its talk with the others. Lives on the main thread. Counting never throws. */

/** Why a request to a peer came to nothing. */
export const PEER_FAILURES = ['unreachable', 'timeout', 'refused', 'too_large'] as const;
export type PeerFailure = (typeof PEER_FAILURES)[number];

/** Why a peer's request was refused. */
export const PEER_REFUSALS = [
  'not_found',
  'method',
  'too_large',
  'busy',
  'incomplete',
  'unsigned',
  'recipient',
  'signature',
  'malformed',
  'invalid',
  'sender',
  'failed',
] as const;
export type PeerRefusal = (typeof PEER_REFUSALS)[number];

export class FleetCounters {
  /** Messages that a peer acknowledged, and messages taken from peers, by their type. */
  readonly sent = new Map<string, number>();
  readonly received = new Map<string, number>();
  readonly failed = new Float64Array(PEER_FAILURES.length);
  readonly refused = new Float64Array(PEER_REFUSALS.length);

  peerSent(type: string): void {
    this.sent.set(type, (this.sent.get(type) ?? 0) + 1);
  }

  peerReceived(type: string): void {
    this.received.set(type, (this.received.get(type) ?? 0) + 1);
  }

  peerFailed(reason: PeerFailure): void {
    this.failed[PEER_FAILURES.indexOf(reason)]!++;
  }

  peerRefused(reason: PeerRefusal): void {
    this.refused[PEER_REFUSALS.indexOf(reason)]!++;
  }
}
