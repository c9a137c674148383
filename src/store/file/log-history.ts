/**
 * Reads commits out of a log whose places are known, newest first. Each frame is read once, and so is each base that a packed
 * commit needs. Nothing else is held.
 */
import type { LogFile } from './write-ahead-log.ts';
import type { WrittenCommit } from '../log-records.ts';
import { damaged, type FramePlace } from './log-replay.ts';
import { unpack } from '../packed-commit.ts';
import type { Commit, ServiceDocument } from '../store.ts';

/**
 * The commits of these revisions, which rise. `known` gives a base that is in memory. Rejects with StoreError `corrupt` or
 * `unreadable`.
 */
export async function readNewestFirst(
  log: LogFile,
  revisions: readonly number[],
  known: (service: string, revision: number) => ServiceDocument | undefined,
): Promise<Commit[]> {
  const frames = log.frames();
  const commits: Commit[] = [];
  const bases = new Map<number, ServiceDocument>();
  let place: FramePlace | undefined;
  let held: readonly WrittenCommit[] = [];

  const base = async (service: string, revision: number): Promise<ServiceDocument | null> => {
    let document = known(service, revision) ?? bases.get(revision) ?? null;
    if (document !== null) return document;
    const holder = frames[frameIndex(frames, revision)];
    if (holder === undefined) {
      const snapshot = await log.snapshot();
      const stored = [...(snapshot?.documents ?? []), ...(snapshot?.bases ?? [])].find(
        ([name, one]) => name === service && one.revision === revision,
      );
      document = stored?.[1].document ?? null;
    } else {
      const written = (await log.read(holder))[revision - holder.first];
      if (written?.service === service && 'document' in written) ({ document } = written);
    }
    if (document !== null) bases.set(revision, document);
    return document;
  };

  for (const revision of revisions.toReversed()) {
    const holder = frames[frameIndex(frames, revision)];
    if (holder === undefined) continue;
    if (holder !== place) held = await log.read(holder);
    place = holder;
    const written = held[revision - holder.first];
    if (written === undefined) continue;
    if ('document' in written) commits.push(written);
    else {
      const document = await base(written.service, written.base);
      const commit = document === null ? null : unpack(written, document);
      if (commit === null)
        throw damaged(log.name, holder.offset, revision - 1, 'what a commit changed is not there');
      commits.push(commit);
    }
  }
  return commits;
}

/** The index of the frame that holds a revision, by bisection; -1 where none does. */
function frameIndex(frames: readonly FramePlace[], revision: number): number {
  let low = 0;
  let high = frames.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((frames[middle]?.first ?? Infinity) <= revision) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}
