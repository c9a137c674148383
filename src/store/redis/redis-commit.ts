/**
 * Commits on their way into Redis.
 *
 * It promises that a commit is taken once or not at all, also where the answer was lost on the way, and that one which was given up is
 * not taken later: it is sent with the moment of the store's clock up to which it counts.
 */
import { performance } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { checkedCommit } from '../commit-shape.ts';
import { HISTORY_COMMITS, HISTORY_TIME } from '../kept-history.ts';
import type { Packed, Packer } from '../packed-commit.ts';
import type { CommitOptions } from '../shared-store.ts';
import { type Commit, StoreError } from '../store.ts';
import type { Bases } from './redis-bases.ts';
import { storedText, unnamed } from './redis-parts.ts';
import type { RedisQuestions } from './redis-questions.ts';
import { FORMAT } from './redis-scripts.ts';
import { COMMIT } from './redis-write-scripts.ts';

/** How long a commit may be under way before it is given up, in ms. */
const COMMIT_TIME = 3000;

/** Until a commit whose answer was lost is sent again, in ms. */
const PAUSE = 50;

export interface CommitSenderOptions {
  readonly questions: RedisQuestions;
  readonly bases: Bases;
  readonly packer: Packer;
  /** Where others hear of it, and who says so. */
  readonly channel: string;
  readonly writer: string;
  /** A new id for each commit. */
  readonly newId: () => string;
  /** Bytes that the history may take. */
  readonly historyBytes: number;
}

/** One commit that is under way. */
interface Sending {
  readonly commit: Commit;
  readonly id: string;
  readonly fence: number | string;
  packed: Packed;
  /** By the monotonic clock, in ms. */
  readonly endsAt: number;
  /** Redis may have taken it. */
  sent: boolean;
}

export class CommitSender {
  readonly #options: CommitSenderOptions;

  constructor(options: CommitSenderOptions) {
    this.#options = options;
  }

  /** Rejects with StoreError; nothing is stored then, but where that says that it is not known. */
  async send(commit: Commit, { fence }: CommitOptions = {}): Promise<void> {
    const { packer, bases, newId } = this.#options;
    if (typeof checkedCommit(commit, commit.revision) === 'string')
      throw new TypeError('not a commit of this version');
    const unpacked = packer.mark();
    const sending: Sending = {
      commit,
      id: newId(),
      fence: fence ?? '',
      packed: packer.pack(commit, unnamed(commit)),
      endsAt: performance.now() + COMMIT_TIME,
      sent: false,
    };
    try {
      while (!(await this.#isTaken(sending)));
      if (sending.packed.base === null) bases.remember(commit);
    } catch (error) {
      unpacked();
      throw error;
    }
  }

  /** False where it is to be sent again. */
  async #isTaken(sending: Sending): Promise<boolean> {
    const { questions } = this.#options;
    const { connection } = questions;
    const { commit, endsAt } = sending;
    try {
      const [answer, detail] = await this.#ask(sending);
      return this.#read(sending, String(answer), detail);
    } catch (error) {
      // Where the answer was lost the commit may have been taken. Sent again it is recognised.
      const lost = sending.sent && error instanceof StoreError && error.code === 'unavailable';
      if (!lost || connection.condition !== 'unreachable') throw error;
      if (performance.now() >= endsAt) {
        const message = `${error.message} It is not known whether it took revision ${commit.revision}; it will not take it from now on.`;
        throw new StoreError('unavailable', message);
      }
      questions.forgetTime();
      await sleep(PAUSE);
      return false;
    }
  }

  async #ask(sending: Sending): Promise<readonly unknown[]> {
    const { questions, channel, writer, historyBytes } = this.#options;
    const { meta, documents, commits, leader, bases, spans, beats, formats } = questions.keys;
    const { commit, id, packed, fence, endsAt } = sending;
    const { revision, service, changeId } = commit;
    const offset = await questions.offset();
    return questions.ask(
      COMMIT,
      [meta, documents, commits, leader, bases, spans, beats, formats],
      [
        FORMAT,
        id,
        revision,
        service,
        changeId,
        packed.json,
        storedText(commit, packed),
        fence,
        Math.round(endsAt + offset),
        channel,
        writer,
        HISTORY_TIME,
        HISTORY_COMMITS,
        historyBytes,
        packed.base ?? '',
        packed.baseChange,
      ],
      {
        onSend() {
          sending.sent = true;
        },
      },
    );
  }

  /** What the store answered. */
  #read(sending: Sending, answer: string, detail: unknown): boolean {
    const { questions, packer } = this.#options;
    const { commit, endsAt } = sending;
    if (answer === 'ok') return true;
    if (answer === 'conflict')
      throw new StoreError(
        'conflict',
        `The store is at revision ${String(detail)}, so the next is ${Number(detail) + 1}, not ${commit.revision}.`,
      );
    if (answer === 'whole' && sending.packed.base !== null) {
      sending.packed = packer.pack(commit, true);
      return false;
    }
    if (answer === 'fence') throw new StoreError('conflict', 'Another replica leads.');
    // Refused, and for good. The clock that it was measured by may be another server's by now.
    if (answer === 'late') questions.learnTime(Number(detail));
    if (performance.now() >= endsAt)
      throw new StoreError('unavailable', `The store ${questions.connection.description} is too slow.`);
    return false;
  }
}
