/**
 * The way of a write: known request id? → its turn → plan → compile ahead → store → workers → answer.
 *
 * It promises that a write that is refused anywhere on this way has changed nothing, that what is answered is in the
 * store, and that one request id makes one change. Only a rollback is in force before it is stored, and stays so when
 * the store fails.
 */
import { createHash } from 'node:crypto';
import type { WriteRequest } from '../rollout/write-request.ts';
import type { Change, PercentageMove } from '../rollout/change.ts';
import {
  changeId,
  type Changes,
  digestOf,
  newChangeId,
  parsePresentId,
  presentChange,
} from '../rollout/changes.ts';
import type { Decrease } from '../rollout/exposure.ts';
import type { ReachOf } from '../rollout/reach.ts';
import { refused } from '../rollout/refusal.ts';
import { messageOf } from '../schema/thrown.ts';
import { type Commit, type CommitKind, type ServiceDocument, StoreError } from '../store/store.ts';
import type { Logger } from '../telemetry/log.ts';
import type { ActiveState, RollbackAhead } from '../state/active-state.ts';
import type { Journal } from './journal.ts';
import type { ControlState } from '../state/state.ts';
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
  /** A rollback: the id of the rollout that is rolled back from now on, before its turn; null where none is under way. */
  readonly rollback?: () => string | null;
}

export interface WriterOptions {
  readonly activeState: ActiveState;
  readonly journal: Journal;
  readonly changes: Changes;
  readonly queue: WriteQueue;
  readonly reach: ReachOf;
  /** Null where this replica alone writes to the store. */
  readonly shared: SharedWrites | null;
  readonly clock: () => number;
  readonly random: (size: number) => Uint8Array;
  readonly log: Logger;
  /** How long the answer to a rollback waits for the store, in ms. */
  readonly patience: number;
  /** A service's document has changed. */
  readonly onWritten: (service: string) => void;
}

export interface Writer {
  write(job: Job): Promise<Change>;
  find(id: string): Change | undefined;
  /** Refuses what comes from now on. */
  stop(): void;
}

export function createWriter(options: WriterOptions): Writer {
  const { activeState, journal, changes, queue, reach, shared, clock, random, log, patience, onWritten } =
    options;
  /** Writes that are not answered yet, by the ids of their changes. */
  const unanswered = new Map<string, Promise<Change>>();
  /** Ids of rollbacks that were answered before the store took them: somebody polls them, so they may not vanish. */
  const early = new Set<string>();
  let stopping = false;

  function find(id: string): Change | undefined {
    const kept = changes.find(id);
    if (kept !== undefined) return kept;
    const present = parsePresentId(id);
    const exists = present !== null && activeState.views.has(present.service);
    return exists && present.revision <= activeState.state.revision
      ? presentChange(present, reach)
      : undefined;
  }

  function known({ service, kind, request }: Job, digest: string): Promise<Change> | null {
    const before = request.requestId === null ? undefined : changes.byRequestId(service, request.requestId);
    if (before === undefined) return null;
    if (before.digest !== digest) throw reused({ service, kind, request }, before.id);
    const waiting = unanswered.get(before.id);
    if (waiting !== undefined) return waiting;
    const change = find(before.id);
    return change === undefined ? null : Promise.resolve(change);
  }

  async function write(job: Job): Promise<Change> {
    if (stopping) throw refused('stopping', 'This replica is stopping. Try again with another.');
    const hash = createHash('sha256').update(`${job.kind}\n`);
    for (const part of job.asked) hash.update(part);
    const digest = digestOf(changeId('', hash.digest('hex')));
    const before = known(job, digest);
    if (before !== null) return before;

    const { service, kind, request } = job;
    const { actor, reason, requestId } = request;
    const rolloutId = job.rollback?.() ?? null;
    if (rolloutId === null && shared?.available === false) throw unavailable(null);
    const id = newChangeId(random, digest);
    changes.begin({ id, service, kind, actor, reason, requestId });
    let ahead: RollbackAhead | null = null;
    if (rolloutId !== null) {
      ahead = activeState.rollBackAhead(rolloutId);
      shared?.announce({
        service,
        rolloutId,
        at: new Date(clock()).toISOString(),
        actor,
        reason,
        requestId,
        changeId: id,
      });
      changes.aheadOfStore(id, rolloutId);
    }
    const done = queue.run(() => perform(id, job, ahead), job.rollback !== undefined);
    const answer = ahead === null ? done : withPatience(id, done);
    unanswered.set(id, answer);
    try {
      return await answer;
    } finally {
      unanswered.delete(id);
    }
  }

  /** A rollback is in force whatever the store does, so its answer does not wait for ever. */
  function withPatience(id: string, done: Promise<Change>): Promise<Change> {
    return new Promise((resolve, reject) => {
      const timer = after(
        patience,
        guarded('answering a rollback', () => {
          early.add(id);
          resolve(changes.setDegraded(id, true));
        }),
      );
      done.then(resolve, reject).finally(() => {
        clearTimeout(timer);
        early.delete(id);
      });
    });
  }

  async function perform(id: string, job: Job, ahead: RollbackAhead | null): Promise<Change> {
    try {
      if (changes.find(id)?.status === 'CANCELED') {
        throw refused('change_canceled', 'The change was canceled before it was written.');
      }
      for (let attempt = 1; ; attempt++) {
        const elsewhere = await doneElsewhere(id, job);
        if (elsewhere !== null) {
          ahead?.undo();
          return elsewhere;
        }
        const plan = await job.plan();
        if (plan.kind !== 'write') return present(id, job, plan, ahead);
        try {
          const change = await store(id, job, plan, ahead);
          // A failover may lose what the store took, and this process may end: the rollback must be known to one of them.
          if (ahead !== null && shared !== null) await shared.kept();
          return changes.find(id) ?? change;
        } catch (error) {
          // Another replica was faster: look at what it wrote, and think again.
          if (!isConflict(error) || attempt === MOST_ATTEMPTS) throw error;
        }
      }
    } catch (error) {
      if (ahead !== null && shared !== null && error instanceof StoreError) return owed(id, ahead, shared);
      ahead?.undo();
      if (early.has(id)) changes.fail(id, messageOf(error));
      else if (changes.find(id)?.status !== 'CANCELED') changes.forget(id);
      throw error instanceof StoreError ? unavailable(error) : error;
    }
  }

  function present(
    id: string,
    job: Job,
    plan: Exclude<Plan, { readonly kind: 'write' }>,
    ahead: RollbackAhead | null,
  ): Change {
    const now =
      plan.kind === 'retry'
        ? plan.change
        : presentChange({ ...job, revision: activeState.written(job.service).revision }, reach);
    if (early.has(id)) changes.conclude(id, now);
    else changes.settle(id, now);
    ahead?.undo();
    return now;
  }

  /** What other replicas wrote since: the same request may be among it. */
  async function doneElsewhere(id: string, job: Job): Promise<Change | null> {
    if (shared === null) return null;
    await shared.catchUp();
    // A policy that is put after a rollback begins a new rollout, also where the store has yet to hear of the rollback.
    if (job.rollback === undefined) await shared.settleRollbacks();
    const own = changes.find(id);
    // Another replica stored this very rollback, which it knew from this one.
    if (own !== undefined && own.revision !== null) return own;
    const { requestId } = job.request;
    const before = requestId === null ? undefined : changes.byRequestId(job.service, requestId);
    if (before === undefined || before.id === id) return null;
    if (before.digest !== digestOf(id)) throw reused(job, before.id);
    const change = find(before.id);
    if (change === undefined) return null;
    if (early.has(id)) changes.conclude(id, change);
    else changes.settle(id, change);
    return change;
  }

  /** A rollback that the shared store cannot take: all replicas that can be reached have it, and one of them stores it. */
  async function owed(id: string, ahead: RollbackAhead, writes: SharedWrites): Promise<Change> {
    // From here on it is kept as an announced one.
    ahead.settle();
    await writes.kept();
    return changes.setDegraded(id, true);
  }

  async function store(
    id: string,
    job: Job,
    plan: Extract<Plan, { readonly kind: 'write' }>,
    ahead: RollbackAhead | null,
  ): Promise<Change> {
    const { service, kind, request } = job;
    const { actor, reason, requestId } = request;
    const { document, decreases, percentage } = plan;
    const revision = activeState.state.revision + 1;
    const next = successor(activeState.state, revision, service, document);
    await activeState.ready(next);
    const at = new Date(clock()).toISOString();
    const activateAt = shared?.activateAt(kind);
    const commit: Commit = {
      revision,
      service,
      kind,
      at,
      actor,
      reason,
      requestId,
      changeId: id,
      document,
      ...(activateAt === undefined ? {} : { activateAt }),
    };
    const degraded = !(await commitOrOwe(commit, job));

    await shared?.committed(commit);
    ahead?.settle();
    const change = changes.applying(id, { revision, percentage, decreases, warnings: plan.warnings() });
    log.info(
      {
        'serin.service': service,
        'serin.kind': kind,
        'serin.revision': revision,
        'serin.actor': actor,
        'serin.reason': reason,
        'serin.change': id,
        'serin.decreases': decreases.length,
      },
      'accepted',
    );
    for (const warning of change.warnings) log.warn({ 'serin.service': service }, warning);
    changes.setDegraded(id, degraded);
    try {
      const delays = activateAt === undefined ? [] : [[service, shared?.moment(activateAt) ?? 0] as const];
      activeState.enact(next, { delays: new Map(delays) });
    } catch (error) {
      log.error(
        { err: error, 'serin.service': service, 'serin.revision': revision },
        'a revision cannot be applied',
      );
      changes.fail(id, 'it cannot be applied; the log says why');
    }
    onWritten(service);
    return changes.find(id) ?? change;
  }

  /** True when it is in the store; false when it is owed. Throws RefusedError `store_unavailable`. */
  async function commitOrOwe(commit: Commit, job: Job): Promise<boolean> {
    try {
      await journal.commit(commit);
      return true;
    } catch (error) {
      if (!isConflict(error) || shared === null)
        log.error({ err: error, 'serin.service': commit.service }, 'the store did not take a write');
      if (shared === null && job.rollback !== undefined) {
        journal.owe(commit);
        return false;
      }
      throw error;
    }
  }

  return {
    write,
    find,
    stop() {
      stopping = true;
    },
  };
}

function successor(
  state: ControlState,
  revision: number,
  service: string,
  document: ServiceDocument | null,
): ControlState {
  const documents = new Map(state.documents);
  if (document === null) documents.delete(service);
  else documents.set(service, { revision, document });
  return { ...state, revision, documents };
}

function isConflict(error: unknown): boolean {
  return error instanceof StoreError && error.code === 'conflict';
}

function unavailable(error: StoreError | null): Error {
  const detail =
    'The store cannot take the write now; the last applied policy keeps serving. Try again later. A rollback is possible all the same.';
  return refused('store_unavailable', detail, { store: error?.code ?? 'unavailable' });
}

function reused(
  { service, kind, request }: Pick<Job, 'service' | 'kind' | 'request'>,
  change: string,
): Error {
  const detail = `The request id ${JSON.stringify(request.requestId)} was used for another request on "${service}" in the last 24 hours. Use a new one for each ${kind}.`;
  return refused('request_id_reused', detail, { change });
}
