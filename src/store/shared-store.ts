/**
 * A store that several replicas share, and what they need of it beyond documents: a common clock, a register of replicas,
 * one leader, and word of what the others wrote.
 *
 * Any replica commits at any time; a commit is taken only on top of the revision that its writer knew. Hints may be lost,
 * so whoever follows calls `sync` regularly: what it says is the truth.
 */
import type { StoreCondition } from '../telemetry/store-counters.ts';
import type { Commit, Loaded, Store, StoreFault } from './store.ts';

/** What one replica tells when it syncs. */
export interface Beat {
  /** The replica's name. */
  readonly replica: string;
  /** What the other replicas read; opaque to the store. */
  readonly record: string;
  /** How long the replica counts as alive without another beat, and how long it leads, in ms. */
  readonly lease: number;
  /** Takes or renews the leadership where it is free or its own. */
  readonly lead: boolean;
}

/** The store at one moment. */
export interface Sync {
  /** Made with the store and kept for its life; `''`: there is nothing in the store, new or emptied. */
  readonly id: string;
  /** The last revision, and the change that made it (`''` at revision 0). */
  readonly revision: number;
  readonly changeId: string;
  /** Changes whenever history is put into the store otherwise than by commits; `''`: it never was. */
  readonly restored: string;
  /** The store's clock, in ms since 1970. */
  readonly time: number;
  /** The replica that leads, or null. */
  readonly leader: string | null;
  /** Rises with every new leader; a commit that names an older one is refused. */
  readonly fence: number;
  /** Every replica whose record is kept; `age` is the time since its last beat, in ms. */
  readonly replicas: readonly { readonly name: string; readonly record: string; readonly age: number }[];
}

export interface CommitOptions {
  /** The fencing number under which a leader acts; omitted for writes that anybody may make. */
  readonly fence?: number;
}

/** Commits, oldest first, and those among them that can't be read, which are left out. */
export interface Since {
  readonly commits: readonly Commit[];
  readonly faults: readonly StoreFault[];
}

/** A record that is to be kept for a day, or is asked for. */
export interface FinalRecord {
  readonly id: string;
  /** Null: only asked for. */
  readonly text: string | null;
  /** It takes the place of one that is there. */
  readonly replaces?: boolean;
  /** It is recorded only while the store is not empty and `Sync.restored` is this: who knew better may have yet to put it back. */
  readonly restored?: string;
}

/** Where the history begins. */
export interface Oldest {
  readonly revision: number;
  readonly changeId: string;
  /** What all commits take, in bytes. */
  readonly bytes: number;
}

export interface SharedStore extends Store {
  /** `load` of a store with nothing in it gives revision 0 and changes nothing. */
  load(): Promise<Loaded>;
  /**
   * Durable when it resolves, as far as the store promises that. Rejects with StoreError `conflict` where the store is not
   * at `revision - 1`, or is under another leader than `fence`; `unavailable` where it can't be written. The very commit that is
   * in the store already counts as taken. One that was rejected is not taken from then on; it may have been taken before
   * only where the store stayed out of reach after it was sent.
   */
  commit(commit: Commit, options?: CommitOptions): Promise<void>;
  /** One round trip that tells and asks everything. With null nothing is told. Rejects with StoreError. */
  sync(beat: Beat | null): Promise<Sync>;
  /** What was committed after `revision`; null where the store doesn't hold all of it any more. */
  since(revision: number): Promise<Since | null>;
  /** The commit that made a revision, or null. */
  at(revision: number): Promise<Commit | null>;
  /**
   * Puts a whole state into a store that has none or that is at revision 0; false where it has one. `id` is the store's
   * former id, so that all replicas know it again.
   */
  restore(id: string, state: Loaded): Promise<boolean>;
  /** The first commit of the history; null while there is none. Rejects with StoreError. */
  oldest(): Promise<Oldest | null>;
  /** The commits below a revision, oldest first, as far as they are there and can be read. Rejects with StoreError. */
  before(revision: number): Promise<readonly Commit[]>;
  /**
   * Puts older commits in front of the history of the store `id`, as far as its bounds keep them. False where the history does not
   * begin by `first` any more, or where they do not lead to it. Rejects with StoreError.
   */
  addOlder(id: string, commits: readonly Commit[], first: Oldest): Promise<boolean>;
  /**
   * Records each text where nothing is recorded under its id, for a day, and gives what is recorded of each then, null for nothing.
   * `storeId` is the store's, which may be empty at the moment. Rejects with StoreError.
   */
  finals(storeId: string, records: readonly FinalRecord[]): Promise<readonly (string | null)[]>;
  /** Takes the replica off the register, and gives up its leadership. */
  leave(replica: string): Promise<void>;
  /** Calls `listener` when another replica may have written, and after each reconnection. Hints come at most every few ms. */
  onHint(listener: () => void): void;
  readonly condition: StoreCondition;
  /** What was wrong last, for people; null while it is available. */
  readonly trouble: string | null;
  onCondition(listener: (condition: StoreCondition, trouble: string | null) => void): void;
}
