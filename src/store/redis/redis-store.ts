/**
 * The store that replicas share, in Redis.
 *
 * It promises that a commit is taken once or not at all, also where the answer was lost on the way; that a commit which was given
 * up is not taken later; and that whatever stands in Redis, nothing but StoreError is thrown. A commit is as durable
 * as Redis makes it: what a failover loses is for its users to put back.
 */
import { DEFAULT_HISTORY_BYTES } from '../../config/store.ts';
import type { StoreCounters } from '../../telemetry/store-counters.ts';
import { createPacker } from '../packed-commit.ts';
import type { Beat, SharedStore, Sync } from '../shared-store.ts';
import type { Commit, Loaded } from '../store.ts';
import { createBases } from './redis-bases.ts';
import { CommitSender } from './redis-commit.ts';
import type { RedisConnection } from './redis-connection.ts';
import { createRedisFinals } from './redis-finals.ts';
import { createOlderCommits, readOldest } from './redis-older.ts';
import { readReplicas, restoreParts } from './redis-parts.ts';
import { LONG_TIME, RedisQuestions } from './redis-questions.ts';
import { RedisReader } from './redis-reader.ts';
import { BASES, BEAT, FORMAT, LEAVE, LOOK, OLDEST } from './redis-scripts.ts';
import { RESTORE } from './redis-write-scripts.ts';
import { spaced } from './spaced.ts';

/** A replica that was not heard of for so long is taken off the register, in ms. */
const FORGET_REPLICA = 24 * 60 * 60 * 1000;

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

export function createRedisStore(options: RedisStoreOptions): RedisStore {
  const { connection, counters, random, historyBytes = DEFAULT_HISTORY_BYTES } = options;
  const questions = new RedisQuestions(connection, counters);
  const { keys, ask } = questions;
  const channel = connection.key('hints');
  const newId = (): string => hex(random(16));
  const writer = hex(random(8));
  const packer = createPacker();
  const bases = createBases(
    async (revisions) => {
      const { meta, commits, bases: key } = keys;
      const args = [FORMAT, ...revisions];
      return (await ask(BASES, [meta, commits, key], args, { timeout: LONG_TIME })).slice(1);
    },
    ({ service, revision, document, changeId }: Commit) =>
      packer.learn(service, document === null ? null : { revision, document }, changeId),
  );
  const reader = new RedisReader(questions, bases);
  const sender = new CommitSender({ questions, bases, packer, channel, writer, newId, historyBytes });
  return {
    load: () => reader.load(),
    commit: (commit, more) => sender.send(commit, more),
    sync: (beat) => sync(questions, beat),
    since: (revision) => reader.since(revision),
    oldest: async () => readOldest(await ask(OLDEST, [keys.meta, keys.commits], [FORMAT])),
    before: (revision) => reader.before(revision),
    addOlder: createOlderCommits({ questions, channel, writer, historyBytes }),
    finals: createRedisFinals(questions),
    history: (service, before, limit) => reader.history(service, before, limit),
    at: (revision) => reader.at(revision),
    restore: (id, state) => put(id, state, false),
    async replace(id, state) {
      await put(id, state, true);
    },
    async leave(replica) {
      const { replicas, beats, leader, formats } = keys;
      await connection.run(LEAVE, [replicas, beats, leader, formats], [replica]);
    },
    onHint: hints({ connection, counters, channel, writer }),
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

  async function put(id: string, state: Loaded, replaces: boolean, packs = true): Promise<boolean> {
    const { revision, documents } = state;
    const recent = state.recent.filter((one) => one.revision <= revision);
    const last = recent.at(-1);
    const parts = restoreParts({ ...state, recent }, packs, historyBytes);
    const args: (string | number)[] = [
      FORMAT,
      parts.packed ? 2 : 1,
      id === '' ? newId() : id,
      revision,
      last?.revision === revision ? last.changeId : '',
      channel,
      writer,
      replaces ? 1 : 0,
      documents.size,
    ];
    args.push(...parts.documents);
    for (const one of parts.commits) args.push(...one);
    const { meta, documents: documentsKey, commits, bases: basesKey, spans, beats, formats } = keys;
    const all = [meta, documentsKey, commits, basesKey, spans, beats, formats];
    const [answer] = await ask(RESTORE, all, args, { timeout: LONG_TIME });
    if (answer === 'whole' && packs) return put(id, state, replaces, false);
    return answer === 'ok';
  }
}

/** One beat, or, with null, a look without one. Rejects with StoreError. */
async function sync(questions: RedisQuestions, beat: Beat | null): Promise<Sync> {
  const parts = await beatOrLook(questions, beat);
  const [, id, revision, changeId, time, leads, fence, list, restored] = parts;
  questions.learnTime(Number(time));
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

async function beatOrLook(
  { connection, keys, ask }: RedisQuestions,
  beat: Beat | null,
): Promise<readonly unknown[]> {
  const { meta, replicas, beats, leader, documents, commits, bases, formats } = keys;
  const all = [meta, replicas, beats, leader, documents, commits, bases, formats];
  if (beat === null) return ask(LOOK, all, [FORMAT]);
  const { replica, record, lease, lead } = beat;
  try {
    return await ask(BEAT, all, [FORMAT, replica, record, lease, lead ? 1 : 0, FORGET_REPLICA]);
  } catch (error) {
    // A store that takes no writes can still be followed.
    const { condition } = connection;
    if (condition !== 'readOnly' && condition !== 'full') throw error;
    return ask(LOOK, all, [FORMAT]);
  }
}

/** Who listens for what other replicas write, and may have written while the connection was away. */
function hints({
  connection,
  counters,
  channel,
  writer,
}: {
  readonly connection: RedisConnection;
  readonly counters: StoreCounters;
  readonly channel: string;
  readonly writer: string;
}): SharedStore['onHint'] {
  const listeners: (() => void)[] = [];
  const hint = spaced(() => {
    for (const listener of listeners) listener();
  });
  connection.subscribe(channel, (message) => {
    if (message === writer) return;
    if (message !== null) counters.hints++;
    hint();
  });
  return (listener) => void listeners.push(listener);
}

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
