/**
 * The latches of users whose identity comes in a header, as decisions find and keep them: their clients may keep no cookies.
 *
 * They are held in memory that all workers of the replica share; never a round trip on the request path. Users are known by
 * the hash of their identity alone, whose salt keeps rollouts apart. In the table rules are numbered; the main thread numbers
 * them, so that all threads mean the same.
 */
import type { Latch } from './latch.ts';
import type { Kept, LatchTable } from './latch-table.ts';
import { marksIn, TAGS, type FoundLatch } from './packed-latch.ts';

/** What a thread needs to know of a scope whose latches are kept: plain data. */
export interface LatchScope {
  readonly index: number;
  readonly serial: number;
  /** The tags of its rules; a mark is a place in this list, from 1. It only grows. */
  readonly tags: readonly string[];
}

/** The latches of one scope, as a decision uses them. */
export type RememberedLatches = Pick<ScopeLatches, 'isEmpty' | 'find' | 'keep'>;

/** Where a decision finds them; null: none are kept of that scope. */
export interface RememberedScopes {
  scope(name: string): RememberedLatches | null;
}

/** Lists of marks that a thread has read already; they repeat. */
const KNOWN_LISTS = 4096;

/** The latches of one scope. */
export class ScopeLatches {
  readonly name: string;
  readonly serial: number;
  readonly #table: LatchTable;
  readonly #index: number;
  readonly #numbersRules: boolean;
  readonly #tags: string[] = [];
  readonly #numbers = new Map<string, number>();
  readonly #lists = new Map<number, readonly string[]>();
  readonly #found: FoundLatch = { bucket: 0, revision: 0, admitted: 0, excluded: 0 };

  /** `numbersRules`: it may number rules that it does not know; of the main thread alone. */
  constructor(name: string, scope: LatchScope, table: LatchTable, numbersRules = false) {
    this.name = name;
    this.serial = scope.serial;
    this.#index = scope.index;
    this.#table = table;
    this.#numbersRules = numbersRules;
    this.learn(scope.tags);
  }

  get scope(): LatchScope {
    return { index: this.#index, serial: this.serial, tags: this.#tags };
  }

  /** Takes over what a longer list adds. */
  learn(tags: readonly string[]): void {
    if (tags.length <= this.#tags.length) return;
    this.#lists.clear();
    for (const tag of tags.slice(this.#tags.length)) this.#number(tag);
  }

  get isEmpty(): boolean {
    return this.#table.countOf(this.#index, this.serial) === 0;
  }

  find(identityHash: number): Latch | null {
    const found = this.#found;
    if (!this.#table.find(this.#index, identityHash, found)) return null;
    return {
      scope: this.name,
      bucket: found.bucket,
      revision: found.revision,
      admitted: this.#listOf(found.admitted),
      excluded: this.#listOf(found.excluded),
    };
  }

  /** Keeps it, together with what is known of the user already. Marks of rules that have no number say nothing to anybody. */
  keep(identityHash: number, latch: Latch): Kept {
    const admitted = this.#numbersOf(latch.admitted);
    const excluded = this.#numbersOf(latch.excluded);
    if (admitted.length + excluded.length === 0) return 'refused';
    const { bucket, revision } = latch;
    return this.#table.keep(this.#index, this.serial, identityHash, { bucket, revision, admitted, excluded });
  }

  /** The latches in one of the table's regions. */
  list(region: number): { readonly identityHash: number; readonly latch: Latch }[] {
    const { name } = this;
    const tagsOf = (marks: readonly number[]) => marks.flatMap((number) => this.#tags[number - 1] ?? []);
    return this.#table
      .list(this.#index, region)
      .map(({ hash, latch: { bucket, revision, admitted, excluded } }) => ({
        identityHash: hash,
        latch: { scope: name, bucket, revision, admitted: tagsOf(admitted), excluded: tagsOf(excluded) },
      }));
  }

  /** Numbers a rule that has none; of the main thread alone. */
  numberRule(tag: string): void {
    if (!this.#numbers.has(tag)) this.#number(tag);
  }

  #number(tag: string): number {
    if (this.#tags.length >= TAGS) return 0;
    const number = this.#tags.push(tag);
    this.#numbers.set(tag, number);
    return number;
  }

  #numbersOf(tags: readonly string[]): number[] {
    return tags
      .map((tag) => this.#numbers.get(tag) ?? (this.#numbersRules ? this.#number(tag) : 0))
      .filter((number) => number > 0);
  }

  #listOf(packed: number): readonly string[] {
    if (packed === 0) return NONE;
    let list = this.#lists.get(packed);
    if (list === undefined) {
      // Of a rule that this thread does not know it can't make use either.
      list = marksIn(packed).flatMap((number) => this.#tags[number - 1] ?? []);
      if (this.#lists.size >= KNOWN_LISTS) this.#lists.clear();
      this.#lists.set(packed, list);
    }
    return list;
  }
}

const NONE: readonly string[] = [];

/** The latches that a worker knows of, by scope. */
export class LatchMemory {
  readonly #table: LatchTable;
  #scopes = new Map<string, ScopeLatches>();

  constructor(table: LatchTable) {
    this.#table = table;
  }

  /** Follows the scopes that the main thread keeps. */
  follow(scopes: { readonly [name: string]: LatchScope }): void {
    const before = this.#scopes;
    this.#scopes = new Map(
      Object.entries(scopes).map(([name, scope]) => {
        const known = before.get(name);
        if (known?.serial !== scope.serial) return [name, new ScopeLatches(name, scope, this.#table)];
        known.learn(scope.tags);
        return [name, known];
      }),
    );
  }

  /** The latches of a scope, or null where none are kept. */
  scope(name: string): ScopeLatches | null {
    return this.#scopes.get(name) ?? null;
  }
}
