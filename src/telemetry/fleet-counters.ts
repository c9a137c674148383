/** What a replica counts of its talk with the others. Lives on the main thread. Counting never throws. */

/** What replicas say to each other. */
export const PEER_MESSAGES = ['record', 'rollback', 'written', 'latches', 'final', 'left'] as const;
export type PeerMessageType = (typeof PEER_MESSAGES)[number];

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
  readonly sent = new Float64Array(PEER_MESSAGES.length);
  readonly received = new Float64Array(PEER_MESSAGES.length);
  readonly failed = new Float64Array(PEER_FAILURES.length);
  readonly refused = new Float64Array(PEER_REFUSALS.length);

  peerSent(type: PeerMessageType): void {
    this.sent[PEER_MESSAGES.indexOf(type)]!++;
  }

  peerReceived(type: PeerMessageType): void {
    this.received[PEER_MESSAGES.indexOf(type)]!++;
  }

  peerFailed(reason: PeerFailure): void {
    this.failed[PEER_FAILURES.indexOf(reason)]!++;
  }

  peerRefused(reason: PeerRefusal): void {
    this.refused[PEER_REFUSALS.indexOf(reason)]!++;
  }
}
