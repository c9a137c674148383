/**
 * The bases that packed commits in Redis need: found in what is read, remembered for the newest of each service, or asked for.
 *
 * It promises that a base counts only where its change is the one that the packed commit names: a revision of a history that was
 * lost may have come to mean another commit.
 */
import { isRecord, parsedJson } from '../../schema/json-value.ts';
import { type BaseOf, readCommit } from '../commit-shape.ts';
import type { Entry } from './redis-entries.ts';
import type { Commit } from '../store.ts';

export interface Bases {
  /**
   * What knows the bases of these entries; those that are neither among them nor remembered are asked for. Rejects as `ask`
   * does.
   */
  of(entries: readonly Entry[]): Promise<BaseOf>;
  /** What knows these, given as revisions and JSON in turn, and the remembered ones. */
  given(list: readonly unknown[]): BaseOf;
  /** A whole commit was read or written. */
  remember(commit: Commit): void;
}

/** `ask` gives the commits of these revisions as JSON, `''` for what is gone. `onNewest` is told of each service's newest base. */
export function createBases(
  ask: (revisions: readonly number[]) => Promise<readonly unknown[]>,
  onNewest: (commit: Commit) => void,
): Bases {
  const newest = new Map<string, Commit>();
  const byRevision = new Map<number, Commit>();

  function remember(commit: Commit): void {
    const former = newest.get(commit.service);
    if (former !== undefined && former.revision > commit.revision) return;
    if (former !== undefined) byRevision.delete(former.revision);
    newest.set(commit.service, commit);
    byRevision.set(commit.revision, commit);
    onNewest(commit);
  }

  function known(more: ReadonlyMap<number, Commit>): BaseOf {
    return (base, baseChange) =>
      [more.get(base), byRevision.get(base)].find((one) => one?.changeId === baseChange);
  }

  function read(found: Map<number, Commit>, revision: number, json: unknown): void {
    if (typeof json !== 'string' || json === '') return;
    const commit = readCommit(json, revision);
    if (typeof commit === 'string') return;
    found.set(revision, commit);
    remember(commit);
  }

  /** Whether it is the commit that is remembered of that revision, and not one of another history. */
  function isRemembered(revision: number, json: unknown): boolean {
    const one = byRevision.get(revision);
    if (one === undefined || typeof json !== 'string') return false;
    const value = parsedJson(json);
    return isRecord(value) && value['changeId'] === one.changeId;
  }

  return {
    remember,
    given(list) {
      const found = new Map<number, Commit>();
      for (let at = 0; at + 1 < list.length; at += 2) {
        const revision = Number(list[at]);
        if (!isRemembered(revision, list[at + 1])) read(found, revision, list[at + 1]);
      }
      return known(found);
    },
    async of(entries) {
      const wanted = new Map<number, string>();
      const texts = new Map(entries.map(({ revision, json }) => [revision, json]));
      for (const { json } of entries) {
        const base = neededBy(json);
        if (base !== null) wanted.set(...base);
      }
      const found = new Map<number, Commit>();
      const missing: number[] = [];
      for (const [base, change] of wanted) {
        if (byRevision.get(base)?.changeId === change) continue;
        const json = texts.get(base);
        if (json === undefined) missing.push(base);
        else read(found, base, json);
      }
      // Each may be large: one answer holds a few.
      for (let from = 0; from < missing.length; from += AT_ONCE) {
        const some = missing.slice(from, from + AT_ONCE);
        const answers = await ask(some);
        for (const [index, revision] of some.entries()) read(found, revision, answers[index]);
      }
      return known(found);
    },
  };
}

const AT_ONCE = 2;

/** The base that a packed commit needs, and its change; null where it is none. Only a commit that may be packed is parsed. */
function neededBy(json: string): readonly [base: number, change: string] | null {
  if (!json.includes('"base":')) return null;
  const value = parsedJson(json);
  if (!isRecord(value) || 'document' in value || !Number.isSafeInteger(value['base'])) return null;
  const { base, baseChange } = value;
  return [Number(base), typeof baseChange === 'string' ? baseChange : ''];
}
