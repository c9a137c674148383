/**
 * The way of a write: known request id? → its turn → plan → store → workers → answer. And that of a rollback: in force → told →
 * on this disk → stored, if the store does it soon → answer.
 *
 * It promises that a write that is refused anywhere on this way has changed nothing, that what is answered is in the
 * store, and that one request id makes one change. Only a rollback is in force before it is stored, and stays so whatever the
 * store does; it is answered when this disk has it, or when the log says that this disk fails.
 */
import { createHash } from 'node:crypto';
import type { WriteRequest } from '../rollout/write-request.ts';
import type { Change, PercentageMove } from '../rollout/change.ts';
import { changeId, digestOf, newChangeId } from '../rollout/change-id.ts';
import type { Changes } from '../rollout/changes.ts';
import { parsePresentId } from '../rollout/present-change.ts';
import type { Decrease } from '../rollout/exposure.ts';
import { refused } from '../rollout/refusal.ts';
import type { Committer } from '../rollback/committer.ts';
import type { Rollbacks } from '../rollback/rollbacks.ts';
import {
  type Commit,
  type CommitKind,
  isConflict,
  type ServiceDocument,
  StoreError,
} from '../store/store.ts';
import type { Logger } from '../telemetry/log.ts';
import type { ActiveState } from '../state/active-state.ts';
import { type CommitWriter, logAccepted } from '../state/commit-writer.ts';
import type { SharedWrites } from '../replication/shared-writes.ts';
import type { WriteQueue } from '../state/write-queue.ts';
import { after, guarded } from '../runtime/guard.ts';

/** How often a write is planned anew because other replicas were faster. */
const MOST_ATTEMPTS = 20;

/** What a write comes to, once it is its turn. */
export type Plan =
  | {
      readonly kind: 'write';
      /** Null deletes the service. */
      readonly document: ServiceDocument | null;
      readonly decreases: readonly Decrease[];
      readonly percentage: PercentageMove | null;
      /** Asked for when the networks are compiled. */
      readonly warnings: () => readonly string[];
    }
  /** The end is reached already. */
  | { readonly kind: 'nothing' }
  /** An earlier change did it: this is a retry. */
  | { readonly kind: 'retry'; readonly change: Change };

export interface Job {
  readonly service: string;
  readonly kind: CommitKind;
  readonly request: WriteRequest;
  /** What is asked for: a request id may not be used for anything else. */
  readonly asked: readonly (string | Uint8Array)[];
  readonly plan: () => Promise<Plan> | Plan;
  /** A rollback: what it is about, before its turn. Throws RefusedError where the request expects something else. */
  readonly rollback?: () => RollbackTarget;
}

export interface RollbackTarget {
  /** The service's last rollout, as far as this replica knows. */
  readonly rolloutId: string | null;
  /** Whether it is under way. */
  readonly isActive: boolean;
}

export interface WriterOptions {
  readonly activeState: ActiveState;
  readonly commits: CommitWriter;
  readonly rollbacks: Rollbacks;
  readonly committer: Committer;
  readonly changes: Changes;
  readonly queue: WriteQueue;
  /** Null where this replica alone writes to the store. */
  readonly shared: SharedWrites | null;
  readonly wallNow: () => number;
  /** Milliseconds since 1970 by the clock of the fleet. */
  readonly fleetNow: () => number;
  readonly random: (size: number) => Uint8Array;
  readonly log: Logger;
  /** How long the answer to a rollback waits, for this disk and for the store, in ms. */
  readonly patience: number;
}

export class Writer {
  readonly #options: WriterOptions;
  /** Writes that are not answered yet, by the ids of their changes. */
  readonly #unanswered = new Map<string, Promise<Change>>();
  #stopping = false;

  constructor(options: WriterOptions) {
    this.#options = options;
  }

  /** Refuses what comes from now on. */
  stop(): void {
    this.#stopping = true;
  }

  find(id: string): Change | undefined {
    const { changes, activeState } = this.#options;
    const kept = changes.find(id);
    if (kept !== undefined) return kept;
    const present = parsePresentId(id);
    const exists = present !== null && activeState.views.has(present.service);
    return exists && present.revision <= activeState.state.revision
      ? changes.findPresent(present)
      : undefined;
  }

  async write(job: Job): Promise<Change> {
    if (this.#stopping) throw refused('stopping', 'This replica is stopping. Try again with another.');
    const hash = createHash('sha256').update(`${job.kind}\n`);
    for (const part of job.asked) hash.update(part);
    const digest = digestOf(changeId('', hash.digest('hex')));
    const before = this.#known(job, digest);
    if (before !== null) return before;
    if (job.rollback === undefined) return this.#inTurn(job, digest);

    let target = job.rollback();
    if (!target.isActive) {
      // One may be under way at another replica; where nobody can tell, the service is rolled back whatever is.
      if (await this.#isCurrent()) {
        target = job.rollback();
        if (!target.isActive) return this.#inTurn(job, digest);
      }
      const meanwhile = this.#known(job, digest);
      if (meanwhile !== null) return meanwhile;
    }
    const id = newChangeId(this.#options.random, digest);
    return this.#answer(id, job, () => this.#rollBack(id, job, target.rolloutId ?? id));
  }

  #known({ service, kind, request }: Job, digest: string): Promise<Change> | null {
    const { requestId } = request;
    const before = requestId === null ? undefined : this.#options.changes.byRequestId(service, requestId);
    if (before === undefined) return null;
    if (before.digest !== digest) throw reused({ service, kind, request }, before.id);
    const waiting = this.#unanswered.get(before.id);
    if (waiting !== undefined) return waiting;
    const change = this.find(before.id);
    return change === undefined ? null : Promise.resolve(change);
  }

  async #answer(id: string, job: Job, perform: () => Promise<Change>): Promise<Change> {
    const { service, kind, request } = job;
    const { actor, reason, requestId } = request;
    this.#options.changes.addPending({ id, service, kind, actor, reason, requestId });
    const answer = perform();
    this.#unanswered.set(id, answer);
    try {
      return await answer;
    } finally {
      this.#unanswered.delete(id);
    }
  }

  /** Whether the state is what the store has now. */
  async #isCurrent(): Promise<boolean> {
    const { shared, queue, patience } = this.#options;
    if (shared === null) return true;
    if (!shared.available) return false;
    const late = timer(patience);
    const current = queue
      .run(() => shared.catchUp(), true)
      .then(
        () => true,
        () => false,
      );
    return Promise.race([current, late.over]).finally(late.cancel);
  }

  /** The tombstone counts from this very step on, whatever becomes of the rest. */
  async #rollBack(id: string, job: Job, rolloutId: string): Promise<Change> {
    const { rollbacks, committer, changes, fleetNow, patience, log } = this.#options;
    const { service, request } = job;
    const { actor, reason, requestId } = request;
    const at = new Date(fleetNow()).toISOString();
    const kept = rollbacks.rollBack({ service, rolloutId, at, actor, reason, requestId, changeId: id });
    changes.inForce(id);
    const late = timer(patience);
    const isKept = await Promise.race([kept, late.over]);
    if (!isKept)
      log.error(
        { 'serin.service': service, 'serin.change': id },
        'a rollback is in force, but not on this disk: it is lost if this process ends before the store or another replica has it',
      );
    const stored = committer.commit(id).then(
      () => true,
      () => false,
    );
    const isStored = await Promise.race([stored, late.over]).finally(late.cancel);
    return isStored ? this.#present(id) : changes.setDegraded(id, true);
  }

  /** A change that was begun a moment ago. */
  #present(id: string): Change {
    const change = this.#options.changes.find(id);
    if (change === undefined) throw new Error(`There is no change ${id}.`);
    return change;
  }

  #inTurn(job: Job, digest: string): Promise<Change> {
    const { shared, random, queue } = this.#options;
    if (shared?.available === false) throw unavailable(null);
    const id = newChangeId(random, digest);
    const isUrgent = job.rollback !== undefined;
    return this.#answer(id, job, () => queue.run(() => this.#perform(id, job), isUrgent));
  }

  async #perform(id: string, job: Job): Promise<Change> {
    const { changes, shared, committer, activeState } = this.#options;
    try {
      if (changes.find(id)?.status === 'CANCELED') throw canceled();
      for (let attempt = 1; ; attempt++) {
        if (shared !== null) await shared.catchUp();
        const elsewhere = this.#doneElsewhere(id, job);
        if (elsewhere !== null) return elsewhere;
        // What is put after a rollback begins a new rollout, also where the store has yet to hear of the rollback.
        await committer.commitOf(job.service);
        const plan = await job.plan();
        if (plan.kind !== 'write') {
          const { revision } = activeState.written(job.service);
          const now = plan.kind === 'retry' ? plan.change : changes.findPresent({ ...job, revision });
          changes.replaceBy(id, now);
          return now;
        }
        try {
          return await this.#store(id, job, plan);
        } catch (error) {
          // Another replica was faster: look at what it wrote, and think again.
          if (!isConflict(error) || attempt === MOST_ATTEMPTS) throw error;
        }
      }
    } catch (error) {
      if (changes.find(id)?.status !== 'CANCELED') changes.removeRefused(id);
      throw error instanceof StoreError ? unavailable(error) : error;
    }
  }

  /** What other replicas wrote since: the same request may be among it. */
  #doneElsewhere(id: string, job: Job): Change | null {
    const { changes } = this.#options;
    const { requestId } = job.request;
    const before = requestId === null ? undefined : changes.byRequestId(job.service, requestId);
    if (before === undefined || before.id === id) return null;
    if (before.digest !== digestOf(id)) throw reused(job, before.id);
    const change = this.find(before.id);
    if (change === undefined) return null;
    changes.replaceBy(id, change);
    return change;
  }

  async #store(id: string, job: Job, plan: Extract<Plan, { readonly kind: 'write' }>): Promise<Change> {
    const { activeState, commits, rollbacks, changes, shared, wallNow, log } = this.#options;
    const { service, kind, request } = job;
    const { actor, reason, requestId } = request;
    const { document, decreases, percentage } = plan;
    const activateAt = shared?.activateAt(kind);
    const at = new Date(wallNow()).toISOString();
    const entry = { service, kind, at, actor, reason, requestId, changeId: id, document };
    let stored: Commit | null = null;
    if (!changes.startWriting(id)) throw canceled();
    await commits.write(activateAt === undefined ? entry : { ...entry, activateAt }, (commit) => {
      stored = commit;
      const { revision } = commit;
      const rollout = document?.rollout ?? null;
      const warnings = plan.warnings();
      changes.applying(id, { revision, rollout, percentage, decreases, warnings });
      logAccepted(log, commit, { 'serin.decreases': decreases.length });
      for (const warning of warnings) log.warn({ 'serin.service': service }, warning);
    });
    // Another replica began it a moment ago, so that it had no tombstone before.
    if (kind === 'rollout.rollback' && stored !== null)
      await rollbacks.follow([stored], activeState.state.documents);
    return this.#present(id);
  }
}

/** `over` resolves to false in so many ms. */
function timer(ms: number): { readonly over: Promise<false>; readonly cancel: () => void } {
  const { promise, resolve } = Promise.withResolvers<false>();
  const running = after(
    ms,
    guarded('answering a rollback', () => resolve(false)),
  );
  return { over: promise, cancel: () => clearTimeout(running) };
}

function unavailable(error: StoreError | null): Error {
  const detail =
    'The store cannot take the write now; the last applied policy keeps serving. Try again later. A rollback is possible all the same.';
  return refused('store_unavailable', detail, { store: error?.code ?? 'unavailable' });
}

function canceled(): Error {
  return refused('change_canceled', 'The change was canceled before it was written.');
}

function reused(
  { service, kind, request }: Pick<Job, 'service' | 'kind' | 'request'>,
  change: string,
): Error {
  const detail = `The request id ${JSON.stringify(request.requestId)} was used for another request on "${service}" in the last 24 hours. Use a new one for each ${kind}.`;
  return refused('request_id_reused', detail, { change });
}
