/**
 * History that only some know: what a restored store lacks of it is put back by whoever knows more, and a replica that began by the
 * state on its disk learns from the store what was before.
 *
 * It promises that nothing is put back that the bounds of the history would not keep, and that doing it twice does no harm.
 */
import type { Changes } from '../rollout/changes.ts';
import { HISTORY_COMMITS, HISTORY_TIME } from '../store/kept-history.ts';
import type { SharedStore, Sync } from '../store/shared-store.ts';
import type { Logger } from '../telemetry/log.ts';
import type { Head } from './follower.ts';
import type { FinalStatuses } from './final-statuses.ts';

export interface OlderHistoryOptions {
  readonly store: Pick<SharedStore, 'oldest' | 'before' | 'addOlder'>;
  readonly changes: Pick<Changes, 'rebuild'>;
  readonly finals: Pick<FinalStatuses, 'putBack'>;
  /** The first revision whose change this replica knows; null: none. */
  readonly knownFrom: number | null;
  readonly log: Pick<Logger, 'info'>;
}

export interface OlderHistory {
  /** Compares the store's history with this replica's, once for each time that it was put there. Rejects with StoreError. */
  compare(seen: Sync, head: Head): Promise<void>;
}

export function createOlderHistory(options: OlderHistoryOptions): OlderHistory {
  const { store, changes, finals, log } = options;
  let knownFrom = options.knownFrom ?? Number.POSITIVE_INFINITY;
  let compared: string | null = null;
  let comparing: Promise<void> | null = null;

  async function compare({ restored, time, revision }: Sync, head: Head): Promise<void> {
    if (restored !== '') await finals.putBack(restored);
    const first = await store.oldest();
    if (first !== null && first.revision < knownFrom) {
      changes.rebuild(await store.before(Math.min(knownFrom, revision + 1)));
      knownFrom = first.revision;
    } else if (first !== null) {
      const isOurs = head.recent.some(
        (one) => one.revision === first.revision && one.changeId === first.changeId,
      );
      const older = head.recent.filter(
        (one) =>
          one.revision < first.revision &&
          (one.revision > revision - HISTORY_COMMITS || Date.parse(one.at) > time - HISTORY_TIME),
      );
      const added = isOurs && older.length > 0 && (await store.addOlder(head.storeId, older, first));
      if (added) log.info({ 'serin.commits': older.length }, 'put older history back into the store');
    }
    compared = restored;
  }

  return {
    async compare(seen, head) {
      if (seen.id === '' || seen.id !== head.storeId || seen.restored === compared) return;
      comparing ??= compare(seen, head).finally(() => {
        comparing = null;
      });
      await comparing;
    },
  };
}
