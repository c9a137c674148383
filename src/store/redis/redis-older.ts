/** Older commits in front of the history in Redis: a stream takes none there, so a script makes it anew, all of it or nothing. */
import type { Oldest } from '../shared-store.ts';
import type { Commit } from '../store.ts';
import { finite, restoreParts } from './redis-parts.ts';
import { LONG_TIME, type RedisQuestions } from './redis-questions.ts';
import { FORMAT } from './redis-scripts.ts';
import { ADD_OLDER } from './redis-write-scripts.ts';

/** A history that takes more is not made anew: Redis would do nothing else for too long. In bytes. */
const MOST_MOVED = 16 * 1024 * 1024;

export interface OlderCommitsOptions {
  readonly questions: RedisQuestions;
  /** Where others hear of it, and who says so. */
  readonly channel: string;
  readonly writer: string;
  /** Bytes that the history may take. */
  readonly historyBytes: number;
}

export function createOlderCommits({ questions, channel, writer, historyBytes }: OlderCommitsOptions) {
  const { meta, commits: commitsKey, spans, beats, formats } = questions.keys;
  const keys = [meta, commitsKey, spans, beats, formats];

  async function add(
    id: string,
    commits: readonly Commit[],
    first: Oldest,
    packs: boolean,
  ): Promise<boolean> {
    const { revision, changeId, bytes } = first;
    const room = historyBytes - bytes;
    const kept = commits.filter((one) => one.revision < revision);
    if (kept.at(-1)?.revision !== revision - 1 || room <= 0 || bytes > MOST_MOVED) return false;
    const parts = restoreParts({ documents: new Map(), recent: kept }, packs, Math.min(room, MOST_MOVED));
    const args = [FORMAT, id, revision, changeId, parts.packed ? 1 : 0, channel, writer];
    const [answer] = await questions.ask(ADD_OLDER, keys, [...args, ...parts.commits.flat()], {
      timeout: LONG_TIME,
    });
    if (answer === 'whole' && packs) return add(id, commits, first, false);
    return answer === 'ok';
  }

  return (id: string, commits: readonly Commit[], first: Oldest): Promise<boolean> =>
    add(id, commits, first, true);
}

/** What OLDEST answers. */
export function readOldest([, revision, changeId, bytes]: readonly unknown[]): Oldest | null {
  if (revision === '') return null;
  return { revision: Number(revision), changeId: String(changeId), bytes: finite(bytes, 0) };
}
