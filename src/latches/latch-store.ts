/**
 * A store of the latches of rollouts under way: for replicas that start later, and for messages that were lost.
 *
 * It only adds: two latches of one user are both kept, and whoever reads them merges them. So two writers can't undo each
 * other, and what is read twice does no harm. It need not be fast, and it is not asked while a request waits.
 */

/** The identity's hash, and the sealed latch. */
export type LatchEntry = readonly [identityHash: number, value: string];

export interface LatchPage {
  /** What came after the cursor and was not added by this process; there may be none, and yet more to come. */
  readonly entries: readonly LatchEntry[];
  /** Where to read on. */
  readonly cursor: string;
  readonly more: boolean;
  /** The store has lost what it had at the cursor: it was emptied, or set back. */
  readonly lost: boolean;
}

/** Where reading begins. */
export const FROM_THE_BEGINNING = '';

/** All of it rejects with StoreError where the store can't be used. */
export interface LatchStore {
  append(rolloutId: string, entries: readonly LatchEntry[]): Promise<void>;
  read(rolloutId: string, cursor: string): Promise<LatchPage>;
  /** Whether this replica is the one that puts back what the store has lost. */
  refills(rolloutId: string): Promise<boolean>;
  /** The rollouts under way; the store may forget others. Called now and then. */
  keep(rolloutIds: readonly string[]): Promise<void>;
  /** The rollout is over. */
  end(rolloutId: string): Promise<void>;
}

/** Entries as text: a line each. */
export function writeEntries(entries: readonly LatchEntry[]): string {
  return entries.map(([hash, value]) => `${hash.toString(36)} ${value}\n`).join('');
}

/** Lines that say nothing are left out; whether a latch is genuine shows where it is taken over. */
export function readEntries(text: string): LatchEntry[] {
  const entries: LatchEntry[] = [];
  for (const line of text.split('\n')) {
    const space = line.indexOf(' ');
    if (space <= 0) continue;
    const text = line.slice(0, space);
    const hash = Number.parseInt(text, 36);
    // Written in one way only: half of a number, or one with a sign, would be another user's.
    if (Number.isSafeInteger(hash) && hash >= 0 && hash.toString(36) === text)
      entries.push([hash, line.slice(space + 1)]);
  }
  return entries;
}
