/**
 * Carries the latches of header identities between this replica, the others, and the store.
 *
 * What workers decide is said to the peers at once and stored within a moment; what is stored is read every second, so that a
 * message that was lost is made up for, and from the beginning when a rollout is new to this replica. It promises that the main
 * thread is never held up for long (it works in slices), that nothing is asked while a request waits, and that a store that
 * is gone costs nothing but time: what waits for it is bounded, and beyond the bound all that is held is stored anew.
 */
import { setImmediate as turn } from 'node:timers/promises';
import type { HeldLatches, LatchNote, LatchRollout } from './latch-keeper.ts';
import { FROM_THE_BEGINNING, type LatchEntry, type LatchStore } from './latch-store.ts';
import { after, detached, every, guarded } from '../runtime/guard.ts';

/** How often the store is read, and how long what is to be stored is collected; in ms. */
const READ_EVERY = 1000;
const COLLECT = 20;

/** Latches that are verified before others get their turn: 2 to 3 ms. */
const SLICE = 256;

/** Latches that wait for the store, of one rollout, and such of peers that wait to be verified. */
const WAITING = 50_000;
const INBOX = 100_000;

/** A slice of which some places were taken is given so often. */
const TRIES = 3;

/** How often the store is told which rollouts are under way, in ms. */
const KEEP_EVERY = 3_600_000;

export interface LatchReplicatorOptions {
  readonly latches: HeldLatches;
  /** Says to all peers at once what workers of this replica decided; null where there are none. */
  readonly push: ((batch: readonly LatchNote[]) => void) | null;
  readonly store: LatchStore;
  /** Monotonic, in ms. */
  readonly monotonicNow: () => number;
  readonly log: { warn(fields: object, message: string): void; info(fields: object, message: string): void };
}

export interface LatchReplicator {
  /** What a peer says; it is verified. */
  heard(batch: readonly LatchNote[]): void;
  /** Whether it has read what the store had of every rollout at the start, or could not. Before, a user may be taken for new. */
  readonly complete: boolean;
  /** Latches that wait to be stored. */
  readonly waiting: number;
  /** Stores what waits, as far as the store can be used, and ends. */
  close(): Promise<void>;
}

interface Followed {
  readonly rollout: LatchRollout;
  cursor: string;
  complete: boolean;
  waiting: LatchEntry[];
  /** The part that is to be stored next, where all that is held is to be; null: nothing. */
  refilling: number | null;
}

/** Begins at once. */
export function createLatchReplicator(options: LatchReplicatorOptions): LatchReplicator {
  const { latches, push, store, monotonicNow, log } = options;
  const followed = new Map<string, Followed>();
  let inbox: (readonly LatchNote[])[] = [];
  let inboxSize = 0;
  let hearing = false;
  let storing: Promise<void> | null = null;
  let collecting: NodeJS.Timeout | undefined;
  let readable = true;
  let keptAt = -Infinity;
  let complete = false;
  let closed = false;

  function follow(): void {
    const rollouts = latches.rollouts();
    const known = new Set(rollouts.map(({ rolloutId }) => rolloutId));
    for (const rollout of rollouts) {
      if (followed.has(rollout.rolloutId)) continue;
      followed.set(rollout.rolloutId, {
        rollout,
        cursor: FROM_THE_BEGINNING,
        complete: false,
        waiting: [],
        refilling: null,
      });
      keptAt = -Infinity;
    }
    for (const rolloutId of followed.keys()) {
      if (known.has(rolloutId)) continue;
      followed.delete(rolloutId);
      store.end(rolloutId).catch(() => {
        // It goes by itself in time.
      });
    }
  }

  async function takeOver(batch: readonly LatchNote[]): Promise<void> {
    for (let from = 0; from < batch.length; from += SLICE) {
      const slice = batch.slice(from, from + SLICE);
      for (let attempt = 0; attempt < TRIES && latches.takeOver(slice).lost > 0; attempt++) await turn();
      await turn();
    }
  }

  async function read(one: Followed): Promise<void> {
    for (;;) {
      const page = await store.read(one.rollout.rolloutId, one.cursor);
      await takeOver(page.entries.map(([identityHash, value]) => ({ ...one.rollout, identityHash, value })));
      one.cursor = page.cursor;
      if (page.lost && (await store.refills(one.rollout.rolloutId))) {
        log.warn(
          { 'serin.service': one.rollout.service, 'serin.rollout': one.rollout.rolloutId },
          'the store has lost latches; those of this replica are stored again',
        );
        one.refilling = 0;
      }
      if (!page.more && !page.lost) break;
    }
    // A rollout that came back, or a store that was emptied while nobody looked.
    if (!one.complete && one.cursor === FROM_THE_BEGINNING && (await store.refills(one.rollout.rolloutId)))
      one.refilling = 0;
    one.complete = true;
  }

  async function write(one: Followed): Promise<void> {
    while (one.refilling !== null) {
      const part = latches.part(one.rollout, one.refilling);
      if (part !== null && part.length > 0)
        await store.append(
          one.rollout.rolloutId,
          part.map(({ identityHash, value }) => [identityHash, value]),
        );
      one.refilling = part === null ? null : one.refilling + 1;
      await turn();
    }
    while (one.waiting.length > 0) {
      const some = one.waiting.slice(0, SLICE);
      await store.append(one.rollout.rolloutId, some);
      one.waiting = one.waiting.slice(some.length);
    }
  }

  /** One pass at a time; a store that fails is tried again with the next. */
  async function pass(reading: boolean): Promise<void> {
    try {
      follow();
      if (reading && monotonicNow() - keptAt >= KEEP_EVERY && followed.size > 0) {
        await store.keep([...followed.keys()]);
        keptAt = monotonicNow();
      }
      for (const one of followed.values()) {
        if (reading) await read(one);
        await write(one);
      }
      if (!readable) log.info({}, 'the store of latches can be used again');
      readable = true;
    } catch (error) {
      if (readable) log.warn({ err: error }, 'latches cannot be stored or read at the moment; they are kept');
      readable = false;
    }
    // A store that is gone must not keep a replica from serving; later rollouts begin with everybody at once.
    complete ||= reading;
  }

  function start(reading: boolean): Promise<void> {
    storing ??= pass(reading).finally(() => {
      storing = null;
    });
    return storing;
  }

  latches.onDecided((batch) => {
    push?.(batch);
    if (closed) return;
    follow();
    for (const { rolloutId, identityHash, value } of batch) {
      const one = followed.get(rolloutId);
      if (one === undefined) continue;
      if (one.waiting.length < WAITING) one.waiting.push([identityHash, value]);
      else {
        one.waiting = [];
        one.refilling = 0;
      }
    }
    collecting ??= after(
      COLLECT,
      guarded('storing latches', () => {
        collecting = undefined;
        if (readable) detached('storing latches', start(false));
      }),
    );
  });

  async function hear(): Promise<void> {
    hearing = true;
    try {
      for (let batch = inbox.shift(); batch !== undefined; batch = inbox.shift()) {
        inboxSize -= batch.length;
        await takeOver(batch);
      }
    } finally {
      hearing = false;
    }
  }

  const timer = every(
    READ_EVERY,
    guarded('reading latches', () => detached('reading latches', start(true))),
  ).unref();
  detached('reading latches', start(true));

  return {
    heard(batch) {
      // What doesn't fit is in the store.
      if (inboxSize + batch.length > INBOX) return;
      inboxSize += batch.length;
      inbox.push(batch);
      if (!hearing) detached('latches of peers', hear());
    },
    get complete() {
      return complete;
    },
    get waiting() {
      let waiting = 0;
      for (const one of followed.values()) waiting += one.waiting.length;
      return waiting;
    },
    async close() {
      closed = true;
      clearInterval(timer);
      clearTimeout(collecting);
      inbox = [];
      await storing;
      if (readable) await start(false);
    },
  };
}
