/**
 * How changes end where this replica is alone with its store: as it judges, once that is on its disk.
 *
 * It promises that a final status survives a restart. Where the disk fails the status is shown all the same, and the log says so.
 */
import type { Change } from '../rollout/change.ts';
import type { Changes } from '../rollout/changes.ts';
import { type FinalChange, finalOf, parseFinal } from '../rollout/final-change.ts';
import { detached } from '../runtime/guard.ts';
import type { FinalLog } from '../store/file/final-log.ts';
import type { Logger } from '../telemetry/log.ts';

export interface OwnStatuses {
  /** What the disk has. */
  readonly known: readonly FinalChange[];
  /** The register's recorder. */
  record(ended: Change): void;
  /** Resolves when all that was recorded until now is shown. */
  kept(): Promise<void>;
}

/** `disk` is closed by its owner. */
export async function createOwnStatuses(
  disk: FinalLog,
  changes: () => Pick<Changes, 'recorded'>,
  log: Pick<Logger, 'error'>,
): Promise<OwnStatuses> {
  let known: readonly FinalChange[] = [];
  try {
    known = (await disk.read()).flatMap((text) => parseFinal(text) ?? []);
  } catch (error) {
    log.error({ err: error }, 'how changes ended cannot be read from disk');
  }
  let trouble = '';
  let last: Promise<void> = Promise.resolve();

  async function keep(final: FinalChange): Promise<void> {
    try {
      await disk.append([JSON.stringify(final)]);
      trouble = '';
    } catch (error) {
      const message = String(error);
      if (message !== trouble) log.error({ err: error }, 'how changes ended cannot be kept on disk');
      trouble = message;
    }
    changes().recorded(final);
  }

  return {
    known,
    record(ended) {
      const kept = keep(finalOf(ended));
      last = Promise.all([last, kept]).then(() => {});
      detached('keeping how a change ended', kept);
    },
    kept: () => last,
  };
}
