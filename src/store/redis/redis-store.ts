/**
 * The store that replicas share, in Redis.
 *
 * It promises that a commit is taken once or not at all, also where the answer was lost on the way; that a commit which was given
 * up is not taken later; and that whatever stands in Redis, nothing but StoreError is thrown. A commit is as durable
 * as Redis makes it: what a failover loses is for its users to put back.
 */
import { performance } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { DEFAULT_HISTORY_BYTES } from '../../config/store.ts';
import { checkedCommit, claimedRevision, readDocument } from '../commit-shape.ts';
import { createPacker } from '../packed-commit.ts';
import { createBases } from './redis-bases.ts';
import { readReplicas, restoreParts, storedText, unnamed } from './redis-parts.ts';
import { type Entry, readEntries, sort } from './redis-entries.ts';
import type { RedisConnection, RedisScript, RunOptions } from './redis-connection.ts';
import { createRedisFinals } from './redis-finals.ts';
import { BASES, BEAT, FORMAT, HISTORY, LEAVE, LOAD, LOOK, OLDEST, RANGE } from './redis-scripts.ts';
import { createOlderCommits, readOldest } from './redis-older.ts';
import { COMMIT, RESTORE } from './redis-write-scripts.ts';
import { spaced } from './spaced.ts';
import { createSharing } from '../shared-parts.ts';
import type { Beat, CommitOptions, SharedStore, Since, Sync } from '../shared-store.ts';
import { type Commit, type Loaded, StoreError, type StoredDocument, type StoreFault } from '../store.ts';
import { createTurns } from '../turns.ts';
import type { StoreCounters } from '../../telemetry/store-counters.ts';

const KEPT_MS = 24 * 60 * 60 * 1000;
const KEPT_COMMITS = 1000;

/** A replica that was not heard of for so long is taken off the register, in ms. */
const FORGET_REPLICA = 24 * 60 * 60 * 1000;

/** How long a commit may be under way before it is given up, in ms. */
const COMMIT_TIME = 3000;

/** Large answers may take longer, in ms. */
const LONG_TIME = 5000;

/** Commits, and bytes of them, that one answer holds: in all a large history takes longer than any answer may. */
const PAGE = 500;
const PAGE_BYTES = 4 * 1024 * 1024;

export interface RedisStoreOptions {
  /** The store closes it. */
  readonly connection: RedisConnection;
  readonly counters: StoreCounters;
  /** Random bytes. */
  readonly random: (size: number) => Uint8Array;
  /** Bytes that the history may take in Redis. */
  readonly historyBytes?: number;
}

/** More than the others, for tools that move whole stores. */
export interface RedisStore extends SharedStore {
  /** Puts a whole state in place of whatever there is; `''` makes a new id. */
  replace(id: string, state: Loaded): Promise<void>;
}

/** A part of the history. */
interface Range extends Since {
  /** The last answer, from the store's id on. */
  readonly head: readonly unknown[];
  /** No revision is missing between the first and the last. */
  readonly whole: boolean;
  /** The newest entry, whether or not it can be read. */
  readonly last: Entry | undefined;
}

export function createRedisStore(options: RedisStoreOptions): RedisStore {
  const { connection, counters, random, historyBytes = DEFAULT_HISTORY_BYTES } = options;
  const meta = connection.key('meta');
  const documentsKey = connection.key('documents');
  const commitsKey = connection.key('commits');
  const replicas = connection.key('replicas');
  const beats = connection.key('beats');
  const leader = connection.key('leader');
  const basesKey = connection.key('bases');
  const spans = connection.key('spans');
  const formats = connection.key('formats');
  const channel = connection.key('hints');
  const packer = createPacker();
  const bases = createBases(async (revisions) => {
    const args = [FORMAT, ...revisions];
    return (await ask(BASES, [meta, commitsKey, basesKey], args, { timeout: LONG_TIME })).slice(1);
  }, learn);
  const writer = hex(random(8));
  const hinted: (() => void)[] = [];
  const hint = spaced(() => {
    for (const listener of hinted) listener();
  });
  /** The store's clock minus the monotonic one, at the least; null before it is known. */
  let offset: number | null = null;

  connection.subscribe(channel, (message) => {
    if (message === writer) return;
    if (message !== null) counters.hints++;
    hint();
  });

  function learn({ service, revision, document, changeId }: Commit): void {
    packer.learn(service, document === null ? null : { revision, document }, changeId);
  }

  /** The parts of an answer that begins by `ok`; the first one of another answer with its detail. */
  async function ask(
    script: RedisScript,
    keys: readonly string[],
    args: readonly (string | number)[],
    options?: RunOptions,
  ): Promise<readonly unknown[]> {
    const reply = await connection.run(script, keys, args, options);
    if (!Array.isArray(reply)) throw corrupt('an answer that is none');
    const parts: readonly unknown[] = reply;
    if (parts[0] !== 'newer') {
      connection.unreadable(null);
      return parts;
    }
    const { description } = connection;
    const found = String(parts[1]);
    const message =
      found === 'lost'
        ? `A part of the store ${description} is gone: somebody removed it, or Redis evicted it (its maxmemory-policy must be noeviction). A replica that knows what was in it puts it back; otherwise restore it from an export.`
        : found === 'broken'
          ? `The store ${description} is damaged: its key ${meta} lacks the revision, or the format that can read it (both are whole numbers). Restore it from an export, or remove the keys under its prefix.`
          : `The store ${description} was written by a newer version of Serin, which this one can't read (format ${found}, this version reads up to ${FORMAT}). Use that version, or another store.prefix.`;
    const code = found === 'lost' || found === 'broken' ? 'corrupt' : 'newer';
    counters.commandFailed(code);
    connection.unreadable(message);
    throw new StoreError(code, message);
  }

  const corrupt = (what: string): StoreError =>
    new StoreError(
      'corrupt',
      `The store ${connection.description} holds ${what}. Restore it from an export.`,
    );

  async function learnTime(options?: RunOptions): Promise<number> {
    const reply = await connection.command('time', [], { ...options, writes: false });
    const [seconds, micros] = Array.isArray(reply) ? reply.map(Number) : [];
    return setOffset((seconds ?? NaN) * 1000 + (micros ?? 0) / 1000);
  }

  /** An answer just came and said `time`. It was that early at the least, so a deadline by it never ends too late. */
  function setOffset(time: number): number {
    if (!Number.isFinite(time)) throw corrupt('no clock');
    offset = time - performance.now();
    return offset;
  }

  async function commit(one: Commit, { fence }: CommitOptions = {}): Promise<void> {
    if (typeof checkedCommit(one, one.revision) === 'string')
      throw new TypeError('not a commit of this version');
    const { revision, service, changeId } = one;
    const unpacked = packer.mark();
    let packed = packer.pack(one, unnamed(one));
    const id = hex(random(16));
    const startedAt = performance.now();
    const endsAt = startedAt + COMMIT_TIME;
    let sent = false;
    try {
      await take();
      if (packed.base === null) bases.remember(one);
      return;
    } catch (error) {
      unpacked();
      throw error;
    }

    async function take(): Promise<void> {
      const onSend = (): void => {
        sent = true;
      };
      for (;;) {
        try {
          const distance = offset ?? (await learnTime());
          const [answer, detail] = await ask(
            COMMIT,
            [meta, documentsKey, commitsKey, leader, basesKey, spans, beats, formats],
            [
              FORMAT,
              id,
              revision,
              service,
              changeId,
              packed.json,
              storedText(one, packed),
              fence ?? '',
              Math.round(endsAt + distance),
              channel,
              writer,
              KEPT_MS,
              KEPT_COMMITS,
              historyBytes,
              packed.base ?? '',
              packed.baseChange,
            ],
            { onSend },
          );
          if (answer === 'ok') return;
          if (answer === 'conflict')
            throw new StoreError(
              'conflict',
              `The store is at revision ${String(detail)}, so the next is ${Number(detail) + 1}, not ${revision}.`,
            );
          if (answer === 'whole' && packed.base !== null) {
            packed = packer.pack(one, true);
            continue;
          }
          if (answer === 'fence') throw new StoreError('conflict', 'Another replica leads.');
          // Refused, and for good. The clock that it was measured by may be another server's by now.
          if (answer === 'late') setOffset(Number(detail));
          if (performance.now() >= endsAt)
            throw new StoreError('unavailable', `The store ${connection.description} is too slow.`);
        } catch (error) {
          // Where the answer was lost the commit may have been taken. Sent again it is recognised.
          const lost = sent && error instanceof StoreError && error.code === 'unavailable';
          if (!lost || connection.condition !== 'unreachable') throw error;
          if (performance.now() >= endsAt) {
            const message = `${error.message} It is not known whether it took revision ${revision}; it will not take it from now on.`;
            throw new StoreError('unavailable', message);
          }
          offset = null;
          await sleep(50);
        }
      }
    }
  }

  async function sync(beat: Beat | null): Promise<Sync> {
    const keys = [meta, replicas, beats, leader, documentsKey, commitsKey, basesKey, formats];
    let parts: readonly unknown[];
    try {
      parts = await (beat === null
        ? ask(LOOK, keys, [FORMAT])
        : ask(BEAT, keys, [
            FORMAT,
            beat.replica,
            beat.record,
            beat.lease,
            beat.lead ? 1 : 0,
            FORGET_REPLICA,
          ]));
    } catch (error) {
      const { condition } = connection;
      // A store that takes no writes can still be followed.
      if (beat === null || (condition !== 'readOnly' && condition !== 'full')) throw error;
      parts = await ask(LOOK, keys, [FORMAT]);
    }
    const [, id, revision, changeId, time, leads, fence, list, restored] = parts;
    setOffset(Number(time));
    return {
      id: String(id),
      revision: Number(revision),
      changeId: String(changeId),
      restored: String(restored),
      time: Number(time),
      leader: leads === '' ? null : String(leads),
      fence: Number.isSafeInteger(Number(fence)) ? Number(fence) : 0,
      replicas: readReplicas(list, FORGET_REPLICA),
    };
  }

  /** The history from one revision to another. It comes in pages, each of which is let go of once it is read. */
  async function range(from: number, to: number): Promise<Range> {
    const commits: Commit[] = [];
    const faults: StoreFault[] = [];
    let expected = from;
    let whole = true;
    let last: Entry | undefined;
    let next = `${from}-0`;
    const share = createSharing();
    for (;;) {
      const args = [FORMAT, next, `${to}-0`, PAGE, PAGE_BYTES];
      const head = await ask(RANGE, [meta, commitsKey], args, { timeout: LONG_TIME });
      const page = readEntries(head[4]);
      for (const { revision } of page) whole &&= revision === expected++;
      const read = await sort(page, share, await bases.of(page), (one) => bases.remember(one));
      commits.push(...read.commits);
      faults.push(...read.faults);
      last = page.at(-1) ?? last;
      if (typeof head[5] !== 'string' || head[5] === '') return { head, commits, faults, whole, last };
      next = head[5];
    }
  }

  async function load(): Promise<Loaded> {
    // Another state may be put into it while it is read.
    for (let attempt = 0; attempt < 5; attempt++) {
      const [, id, revisionText, changeId, list, basesList] = await ask(
        LOAD,
        [meta, documentsKey, commitsKey, basesKey],
        [FORMAT],
        {
          timeout: LONG_TIME,
        },
      );
      const revision = Number(revisionText);
      const documents = new Map<string, StoredDocument>();
      const faults: StoreFault[] = [];
      const texts = Array.isArray(list) ? list.map(String) : [];
      const turn = createTurns();
      const baseOf = bases.given(Array.isArray(basesList) ? basesList : []);
      for (let at = 0; at + 1 < texts.length; at += 2) {
        const service = texts[at] ?? '';
        const json = texts[at + 1] ?? '';
        await turn(json.length);
        const document = readDocument(service, json, baseOf);
        if (typeof document === 'string')
          faults.push({ service, revision: claimedRevision(json), changeId: '', detail: document });
        else documents.set(service, document);
      }
      if (revision === 0) return { revision, documents, recent: [], faults };
      const { head, last, ...found } = await range(1, revision);
      if (head[1] !== id || (last?.revision === revision && last.changeId !== changeId)) continue;
      return { revision, documents, recent: found.commits, faults: [...faults, ...found.faults] };
    }
    throw new StoreError('unavailable', `The store ${connection.description} changes while it is read.`);
  }

  async function since(revision: number): Promise<Since | null> {
    const { head, last, whole, commits, faults } = await range(revision + 1, Number.MAX_SAFE_INTEGER);
    const newest = Number(head[2]);
    if (newest <= revision) return { commits: [], faults: [] };
    return whole && (last?.revision ?? 0) >= newest ? { commits, faults } : null;
  }

  async function put(id: string, state: Loaded, replaces: boolean, packs = true): Promise<boolean> {
    const { revision, documents } = state;
    const recent = state.recent.filter((one) => one.revision <= revision);
    const last = recent.at(-1);
    const parts = restoreParts({ ...state, recent }, packs, historyBytes);
    const args: (string | number)[] = [
      FORMAT,
      parts.packed ? 2 : 1,
      id === '' ? hex(random(16)) : id,
      revision,
      last?.revision === revision ? last.changeId : '',
      channel,
      writer,
      replaces ? 1 : 0,
      documents.size,
    ];
    args.push(...parts.documents);
    for (const one of parts.commits) args.push(...one);
    const keys = [meta, documentsKey, commitsKey, basesKey, spans, beats, formats];
    const [answer] = await ask(RESTORE, keys, args, { timeout: LONG_TIME });
    if (answer === 'whole' && packs) return put(id, state, replaces, false);
    return answer === 'ok';
  }

  return {
    load,
    commit,
    sync,
    since,
    oldest: async () => readOldest(await ask(OLDEST, [meta, commitsKey], [FORMAT])),
    before: async (revision) => (revision <= 1 ? [] : (await range(1, revision - 1)).commits),
    addOlder: createOlderCommits({ key: (name) => connection.key(name), ask, channel, writer, historyBytes }),
    finals: createRedisFinals({ key: (name) => connection.key(name), ask }),
    async history(service, before, limit) {
      const commits: Commit[] = [];
      let from = before > Number.MAX_SAFE_INTEGER ? '+' : before > 0 ? `(${before}-0` : '';
      while (from !== '' && commits.length < limit) {
        const wanted = limit - commits.length;
        const [, next, list] = await ask(HISTORY, [meta, commitsKey], [FORMAT, service, from, wanted], {
          timeout: LONG_TIME,
        });
        const entries = readEntries(list);
        commits.push(...(await sort(entries, createSharing(), await bases.of(entries))).commits);
        from = String(next);
      }
      return commits;
    },
    async at(revision) {
      const { commits } = await range(revision, revision);
      return commits[0] ?? null;
    },
    restore: (id, state) => put(id, state, false),
    async replace(id, state) {
      await put(id, state, true);
    },
    async leave(replica) {
      await connection.run(LEAVE, [replicas, beats, leader, formats], [replica]);
    },
    onHint: (listener) => void hinted.push(listener),
    get condition() {
      return connection.condition;
    },
    get trouble() {
      return connection.trouble;
    },
    onCondition: (listener) => connection.onCondition(listener),
    async close() {
      connection.close();
    },
  };
}

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
