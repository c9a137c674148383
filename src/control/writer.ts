/**
 * The way of a write: known request id? → its turn → plan → compile ahead → store → workers → answer.
 *
 * It promises that a write that is refused anywhere on this way has changed nothing, that what is answered is in the
 * store, and that one request id makes one change. Only a rollback is in force before it is stored, and stays so when
 * the store fails.
 */
import { createHash } from 'node:crypto';
import type { WriteRequest } from '../admin/backend.ts';
import type { Change, PercentageMove } from '../rollout/change.ts';
import { changeId, type Changes, digestOf, parsePresentId, presentChange } from '../rollout/changes.ts';
import type { Decrease } from '../rollout/exposure.ts';
import { refused } from '../rollout/refusal.ts';
import { type Commit, type CommitKind, type ServiceDocument, StoreError } from '../store/store.ts';
import type { Logger } from '../telemetry/log.ts';
import type { InForce, RollbackAhead } from './in-force.ts';
import type { Journal } from './journal.ts';
import type { ControlState } from './state.ts';
import type { WriteQueue } from './write-queue.ts';

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
  /** A rollback: what is in force from now on, before its turn. It is stored when the store recovers. */
  readonly ahead?: () => RollbackAhead | null;
}

export interface WriterOptions {
  readonly inForce: InForce;
  readonly journal: Journal;
  readonly changes: Changes;
  readonly queue: WriteQueue;
  readonly applied: () => readonly number[];
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
  const { inForce, journal, changes, queue, applied, clock, random, log, patience, onWritten } = options;
  /** Writes that are not answered yet, by the ids of their changes. */
  const unanswered = new Map<string, Promise<Change>>();
  /** Ids of rollbacks that were answered before the store took them: somebody polls them, so they may not vanish. */
  const early = new Set<string>();
  let stopping = false;

  function find(id: string): Change | undefined {
    const kept = changes.find(id);
    if (kept !== undefined) return kept;
    const present = parsePresentId(id);
    const exists = present !== null && inForce.views.has(present.service);
    return exists && present.revision <= inForce.state.revision
      ? presentChange(present, applied())
      : undefined;
  }

  function known({ service, kind, request }: Job, digest: string): Promise<Change> | null {
    const before = request.requestId === null ? undefined : changes.byRequestId(service, request.requestId);
    if (before === undefined) return null;
    if (before.digest !== digest) {
      const detail = `The request id ${JSON.stringify(request.requestId)} was used for another request on "${service}" in the last 24 hours. Use a new one for each ${kind}.`;
      throw refused('request_id_reused', detail, { change: before.id });
    }
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
    const ahead = job.ahead?.() ?? null;
    const id = changeId(Buffer.from(random(10)).toString('hex'), digest);
    changes.begin({ id, service, kind, actor, reason, requestId });
    if (ahead !== null) changes.aheadOfStore(id);
    const done = queue.run(() => perform(id, job, ahead), job.ahead !== undefined);
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
      const timer = setTimeout(() => {
        early.add(id);
        resolve(changes.setDegraded(id, true));
      }, patience);
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
      const plan = await job.plan();
      if (plan.kind === 'write') return await store(id, job, plan, ahead);
      const present =
        plan.kind === 'retry'
          ? plan.change
          : presentChange({ ...job, revision: inForce.written(job.service).revision }, applied());
      if (early.has(id)) changes.conclude(id, present);
      else changes.settle(id, present);
      ahead?.undo();
      return present;
    } catch (error) {
      ahead?.undo();
      if (early.has(id)) changes.fail(id, error instanceof Error ? error.message : String(error));
      else if (changes.find(id)?.status !== 'CANCELED') changes.forget(id);
      throw error;
    }
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
    const revision = inForce.state.revision + 1;
    const next = successor(inForce.state, revision, service, document);
    await inForce.ready(next);
    const at = new Date(clock()).toISOString();
    const commit: Commit = { revision, service, kind, at, actor, reason, requestId, changeId: id, document };
    const degraded = !(await commitOrOwe(commit, job));

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
      inForce.enact(next);
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
      log.error({ err: error, 'serin.service': commit.service }, 'the store did not take a write');
      if (job.ahead !== undefined) {
        journal.owe(commit);
        return false;
      }
      if (!(error instanceof StoreError)) throw error;
      const detail =
        'The store cannot take the write now; the last applied policy keeps serving. Try again later. A rollback is possible all the same.';
      throw refused('store_unavailable', detail, { store: error.code });
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
