/**
 * Wires the latches of header identities to where others know of them: the fleet, or, for a replica that is alone, files.
 */
import path from 'node:path';
import { performance } from 'node:perf_hooks';
import { latchLimit, type ProxyDefinition } from '../config/proxy.ts';
import { fileStoreSettings, type StoreSettings } from '../config/store.ts';
import type { HeldLatches, LatchNote } from '../latches/latch-keeper.ts';
import { LATCHES_LIMIT, type PeerMessage } from '../replication/peer-message.ts';
import type { LatchStore } from '../latches/latch-store.ts';
import { createLatchReplicator, type LatchReplicator } from '../latches/replicator.ts';
import { createFileLatches } from '../latches/file-latches.ts';
import type { Logger } from '../telemetry/log.ts';

export interface SharedLatches extends Pick<LatchReplicator, 'complete' | 'waiting' | 'close'> {
  /** Takes what a peer says of latches; false where it says something else. */
  hear(message: PeerMessage): boolean;
}

/** `fleet` is null for a replica that is alone. */
export function shareLatches(
  latches: HeldLatches,
  { proxy, store }: { readonly proxy?: ProxyDefinition; readonly store: StoreSettings },
  fleet: { latchStore(limit: number): LatchStore; send(message: PeerMessage): void } | null,
  log: Logger,
): SharedLatches {
  const limit = latchLimit(proxy);
  const replicator = createLatchReplicator({
    latches,
    // A user may be stored more than once: admitted, admitted by another rule, excluded.
    store:
      fleet === null
        ? createFileLatches({ directory: path.join(fileStoreSettings(store).directory, 'latches'), limit })
        : fleet.latchStore(2 * limit),
    push:
      fleet === null
        ? null
        : (batch) => {
            for (const message of messagesOf(batch)) fleet.send(message);
          },
    monotonicNow: () => performance.now(),
    log,
  });
  return {
    get complete() {
      return replicator.complete;
    },
    get waiting() {
      return replicator.waiting;
    },
    close: () => replicator.close(),
    hear(message) {
      if (message.type !== 'latches') return false;
      const { service, rolloutId, entries } = message;
      replicator.heard(entries.map(([identityHash, value]) => ({ service, rolloutId, identityHash, value })));
      return true;
    },
  };
}

/** One message for each rollout, or more where it would be too long. */
function messagesOf(batch: readonly LatchNote[]): PeerMessage[] {
  const messages: PeerMessage[] = [];
  for (const notes of Map.groupBy(batch, ({ rolloutId }) => rolloutId).values()) {
    const { service, rolloutId } = notes[0]!;
    for (let from = 0; from < notes.length; from += LATCHES_LIMIT) {
      const entries = notes
        .slice(from, from + LATCHES_LIMIT)
        .map(({ identityHash, value }) => [identityHash, value] as const);
      messages.push({ type: 'latches', service, rolloutId, entries });
    }
  }
  return messages;
}
