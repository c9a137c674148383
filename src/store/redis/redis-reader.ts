/**
 * The state and the history of a store in Redis, read in pages: a large history takes longer in all than any answer may.
 *
 * It promises that what it gives is of one store and of one moment, and that what can't be read is a fault that names its place.
 */
import { claimedRevision, readDocument } from '../commit-shape.ts';
import { createSharing } from '../shared-parts.ts';
import type { Since } from '../shared-store.ts';
import { type Commit, type Loaded, StoreError, type StoredDocument, type StoreFault } from '../store.ts';
import { createTurns } from '../turns.ts';
import type { Bases } from './redis-bases.ts';
import { type Entry, readEntries, sort } from './redis-entries.ts';
import { LONG_TIME, type RedisQuestions } from './redis-questions.ts';
import { FORMAT, HISTORY, LOAD, RANGE } from './redis-scripts.ts';

/** Commits, and bytes of them, that one answer holds. */
const PAGE = 500;
const PAGE_BYTES = 4 * 1024 * 1024;

/** How often a state is read that another one replaces meanwhile. */
const MOST_READS = 5;

/** A part of the history. */
interface Range extends Since {
  /** The last answer, from the store's id on. */
  readonly head: readonly unknown[];
  /** No revision is missing between the first and the last. */
  readonly whole: boolean;
  /** The newest entry, whether or not it can be read. */
  readonly last: Entry | undefined;
}

/** What a state is read from. */
interface State extends Pick<Loaded, 'revision' | 'documents'> {
  readonly id: unknown;
  readonly changeId: unknown;
  readonly faults: readonly StoreFault[];
}

export class RedisReader {
  readonly #questions: RedisQuestions;
  readonly #bases: Bases;

  constructor(questions: RedisQuestions, bases: Bases) {
    this.#questions = questions;
    this.#bases = bases;
  }

  async load(): Promise<Loaded> {
    // Another state may be put into it while it is read.
    for (let attempt = 0; attempt < MOST_READS; attempt++) {
      const { id, revision, changeId, documents, faults } = await this.#state();
      if (revision === 0) return { revision, documents, recent: [], faults };
      const { head, last, ...found } = await this.#range(1, revision);
      if (head[1] !== id || (last?.revision === revision && last.changeId !== changeId)) continue;
      return { revision, documents, recent: found.commits, faults: [...faults, ...found.faults] };
    }
    const { description } = this.#questions.connection;
    throw new StoreError('unavailable', `The store ${description} changes while it is read.`);
  }

  /** What followed that revision; null where a part of it is gone. */
  async since(revision: number): Promise<Since | null> {
    const { head, last, whole, commits, faults } = await this.#range(revision + 1, Number.MAX_SAFE_INTEGER);
    const newest = Number(head[2]);
    if (newest <= revision) return { commits: [], faults: [] };
    return whole && (last?.revision ?? 0) >= newest ? { commits, faults } : null;
  }

  async before(revision: number): Promise<readonly Commit[]> {
    return revision <= 1 ? [] : (await this.#range(1, revision - 1)).commits;
  }

  async at(revision: number): Promise<Commit | null> {
    const { commits } = await this.#range(revision, revision);
    return commits[0] ?? null;
  }

  /** A service's commits before a revision, the newest first; 0: from the newest on. */
  async history(service: string, before: number, limit: number): Promise<readonly Commit[]> {
    const { meta, commits: key } = this.#questions.keys;
    const commits: Commit[] = [];
    let from = before > Number.MAX_SAFE_INTEGER ? '+' : before > 0 ? `(${before}-0` : '';
    while (from !== '' && commits.length < limit) {
      const args = [FORMAT, service, from, limit - commits.length];
      const [, next, list] = await this.#questions.ask(HISTORY, [meta, key], args, { timeout: LONG_TIME });
      const entries = readEntries(list);
      commits.push(...(await sort(entries, createSharing(), await this.#bases.of(entries))).commits);
      from = String(next);
    }
    return commits;
  }

  async #state(): Promise<State> {
    const { meta, documents: key, commits, bases } = this.#questions.keys;
    const keys = [meta, key, commits, bases];
    const answer = await this.#questions.ask(LOAD, keys, [FORMAT], { timeout: LONG_TIME });
    const [, id, revisionText, changeId, list, basesList] = answer;
    const revision = Number(revisionText);
    const documents = new Map<string, StoredDocument>();
    const faults: StoreFault[] = [];
    const texts = Array.isArray(list) ? list.map(String) : [];
    const turn = createTurns();
    const baseOf = this.#bases.given(Array.isArray(basesList) ? basesList : []);
    for (let at = 0; at + 1 < texts.length; at += 2) {
      const service = texts[at] ?? '';
      const json = texts[at + 1] ?? '';
      await turn(json.length);
      const document = readDocument(service, json, baseOf);
      if (typeof document === 'string')
        faults.push({ service, revision: claimedRevision(json), changeId: '', detail: document });
      else documents.set(service, document);
    }
    return { id, revision, changeId, documents, faults };
  }

  /** The history from one revision to another. It comes in pages, each of which is let go of once it is read. */
  async #range(from: number, to: number): Promise<Range> {
    const { meta, commits: key } = this.#questions.keys;
    const commits: Commit[] = [];
    const faults: StoreFault[] = [];
    let expected = from;
    let whole = true;
    let last: Entry | undefined;
    let next = `${from}-0`;
    const share = createSharing();
    for (;;) {
      const args = [FORMAT, next, `${to}-0`, PAGE, PAGE_BYTES];
      const head = await this.#questions.ask(RANGE, [meta, key], args, { timeout: LONG_TIME });
      const page = readEntries(head[4]);
      for (const { revision } of page) whole &&= revision === expected++;
      const read = await sort(page, share, await this.#bases.of(page), (one) => this.#bases.remember(one));
      commits.push(...read.commits);
      faults.push(...read.faults);
      last = page.at(-1) ?? last;
      if (typeof head[5] !== 'string' || head[5] === '') return { head, commits, faults, whole, last };
      next = head[5];
    }
  }
}
