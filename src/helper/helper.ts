/**
 * The helper threads' main-thread side: work that would stall the main thread, done elsewhere.
 *
 * There are three lanes, each a thread of its own while it has work. What the control plane itself asks for never waits for what
 * somebody sent to be read, and who writes never waits for who may only look. What was sent is read within a limit or not at all.
 */
import { Worker } from 'node:worker_threads';
import type { BodyKind, ReadBody } from './read-body.ts';
import type { DocumentBody } from '../rollout/write-request.ts';
import { DocumentError } from '../schema/faults.ts';
import type { NetworkSetData } from '../ip/network.ts';
import type { RolloutDocument } from '../policy/schema.ts';
import { refused } from '../rollout/refusal.ts';
import { createLane, type Lane } from './lane.ts';
import type { Preparation } from './prepare.ts';

export interface Helper {
  /** `compileNetworks` of each list. */
  compile(lists: readonly (readonly string[])[]): Promise<NetworkSetData[]>;
  /**
   * `prepareRollout`: of a value that was read already at once, of a body in turn with other callers. Rejects with DocumentError,
   * and with RefusedError `too_many_bodies`.
   */
  prepare(preparation: Preparation, caller: string): Promise<RolloutDocument>;
  /** `readBody`, in turn with other callers. Rejects as `prepare` does. */
  read(kind: BodyKind, body: DocumentBody, caller: string): Promise<ReadBody>;
  close(): Promise<void>;
}

export type Task =
  | { readonly kind: 'compile'; readonly lists: readonly (readonly string[])[] }
  | { readonly kind: 'prepare'; readonly preparation: Preparation }
  | { readonly kind: 'read'; readonly what: BodyKind; readonly body: DocumentBody };

/** What a thread is started with. */
export interface HelperData {
  /** As in nice(2), where the system has priorities of threads (Linux). */
  readonly niceness: number;
}

/** How long a thread without work stays, in ms. */
const IDLE_TIME = 30_000;
/** How long a body may be read, in ms: of somebody who writes, and of somebody who only looks. 100,000 networks in YAML take 2 s. */
const WRITE_LIMIT = 10_000;
const LOOK_LIMIT = 1000;
/** Who may only look gets what time the others leave, where there are more threads than cores. */
const LOOK_NICENESS = 10;
/** Bodies that may wait: of one token, and of all. */
const MOST_OF_ONE = 8;
const MOST_OF_ALL = 64;
/** A thread's heap in MiB: 16 MiB of JSON take a fifth of it. */
const HEAP = 1024;

export function createHelper(idleTime = IDLE_TIME): Helper {
  const lane = (
    limit: number | null,
    most: readonly [ofOne: number, ofAll: number],
    niceness = 0,
  ): Lane<Task> =>
    createLane<Task>({
      start: () =>
        new Worker(new URL('./helper-thread.ts', import.meta.url), {
          name: 'serin-helper',
          workerData: { niceness } satisfies HelperData,
          ...(limit === null ? {} : { resourceLimits: { maxOldGenerationSizeMb: HEAP } }),
        }),
      limit,
      idleTime,
      mostOfOne: most[0],
      mostOfAll: most[1],
      tooCostly: () => tooCostly(limit ?? 0),
      tooMany,
    });
  const own = lane(null, [Infinity, Infinity]);
  const writes = lane(WRITE_LIMIT, [MOST_OF_ONE, MOST_OF_ALL]);
  const looks = lane(LOOK_LIMIT, [MOST_OF_ONE, MOST_OF_ALL], LOOK_NICENESS);
  return {
    compile: async (lists) => (await own.run({ kind: 'compile', lists }, '')) as NetworkSetData[],
    async prepare(preparation, caller) {
      const lane = 'body' in preparation.source ? writes : own;
      return (await lane.run({ kind: 'prepare', preparation }, caller)) as RolloutDocument;
    },
    async read(what, body, caller) {
      const reading = what === 'explain' ? looks : writes;
      return (await reading.run({ kind: 'read', what, body }, caller, what === 'action')) as ReadBody;
    },
    async close() {
      await Promise.all([own.close(), writes.close(), looks.close()]);
    },
  };
}

function tooCostly(limit: number): DocumentError {
  return new DocumentError('body_too_costly', 'The body takes too long to read.', [
    {
      pointer: '',
      detail: `it was given up after ${limit / 1000} s or for want of memory; send it as JSON, with fewer keys, anchors and levels`,
    },
  ]);
}

function tooMany(ofCaller: boolean): Error {
  const detail = ofCaller
    ? `${MOST_OF_ONE} bodies of this token wait to be read already. Send the next one when they are answered.`
    : `${MOST_OF_ALL} bodies wait to be read already. Try again in a moment.`;
  return refused('too_many_bodies', detail, { most: ofCaller ? MOST_OF_ONE : MOST_OF_ALL });
}
