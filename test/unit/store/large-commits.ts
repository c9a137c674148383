/** Commits of a large policy, most of which change a percentage: stores pack them. */
import type { Commit } from '../../../src/store/store.ts';
import { makeCommit } from './commits.ts';

/** JSON of some 25 kB. */
const networks = (seed: number): string[] =>
  Array.from({ length: 1800 }, (_, index) => `10.${seed & 255}.${index >> 8}.${index & 255}`);

/** Commits 1 to `count`: three services, each of which has a new list of networks, or is deleted, now and then. */
export function largeCommits(count: number): Commit[] {
  const lists = new Map<string, string[]>();
  return Array.from({ length: count }, (_, index) => {
    const commit = makeCommit(index + 1);
    const { service, revision, document } = commit;
    if (document === null || document.rollout === null) return commit;
    let cidr = lists.get(service);
    if (cidr === undefined || revision % 11 === 0) lists.set(service, (cidr = networks(revision)));
    // As the control plane does, what stays is the same object.
    if (revision % 5 === 0)
      lists.set(service, (cidr = cidr.toSpliced(revision, 1, `10.254.${revision >> 8}.${revision & 255}`)));
    const rules = [
      { name: 'branches', match: { cidr }, percentage: revision % 100 },
      { name: 'everyone', percentage: revision % 50 },
    ];
    return { ...commit, document: { ...document, rollout: { ...document.rollout, document: { rules } } } };
  });
}

/** The same commits as if read from JSON: nothing is shared. */
export const fresh = (commits: readonly Commit[]): Commit[] =>
  JSON.parse(JSON.stringify(commits)) as Commit[];
