/** The entries of the stream in which Redis keeps the history, as an answer holds them. Reading them never throws or rejects. */
import { type BaseOf, readCommit } from '../commit-shape.ts';
import { createSharing } from '../shared-parts.ts';
import type { Since } from '../shared-store.ts';
import type { Commit, StoreFault } from '../store.ts';
import { createTurns } from '../turns.ts';

export interface Entry {
  readonly revision: number;
  readonly service: string;
  readonly changeId: string;
  readonly json: string;
  /** Whether it stands there with its whole document. */
  readonly whole: boolean;
}

/** The entries of a range. What is none of ours is left out: a gap tells. */
export function readEntries(list: unknown): Entry[] {
  const entries: Entry[] = [];
  if (!Array.isArray(list)) return entries;
  for (const one of list as readonly unknown[]) {
    if (!Array.isArray(one)) continue;
    const [id, fields] = one as readonly unknown[];
    if (typeof id !== 'string' || !/^[0-9]{1,16}-0$/.test(id) || !Array.isArray(fields)) continue;
    const texts = fields.map(String);
    const field = (name: string): string => {
      const at = texts.findIndex((text, index) => index % 2 === 0 && text === name);
      return at === -1 ? '' : (texts[at + 1] ?? '');
    };
    entries.push({
      revision: Number.parseInt(id, 10),
      service: field('service'),
      changeId: field('changeId'),
      json: field('commit'),
      whole: field('base') === '',
    });
  }
  return entries;
}

/** What can be read of them, and what cannot. There may be many, and each is checked in full: it takes turns. */
export async function sort(
  entries: readonly Entry[],
  share: (commit: Commit) => Commit = createSharing(),
  baseOf?: BaseOf,
  onWhole: (commit: Commit) => void = () => {},
): Promise<Since> {
  const turn = createTurns();
  const commits: Commit[] = [];
  const faults: StoreFault[] = [];
  for (const { revision, service, changeId, json, whole } of entries) {
    await turn(json.length);
    const read = readCommit(json, revision, baseOf);
    const commit = typeof read === 'string' || read.service === service ? read : 'it names another service';
    if (typeof commit === 'string') faults.push({ service, revision, changeId, detail: commit });
    else {
      const one = share(commit);
      commits.push(one);
      if (whole) onWhole(one);
    }
  }
  return { commits, faults };
}
