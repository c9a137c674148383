/**
 * The state that a replica takes from the shared store: commits in, a snapshot for the workers out.
 *
 * It promises that a document which cannot be used here leaves its service as it was while all others go on, and that it says which ones
 * those are. Call it in the write queue.
 */
import type { RolloutState } from '../policy/rollout.ts';
import type { Rollbacks } from '../rollback/rollbacks.ts';
import type { Changes } from '../rollout/changes.ts';
import { DocumentError } from '../schema/faults.ts';
import type { ActiveState } from '../state/active-state.ts';
import { checkState, type ControlState } from '../state/state.ts';
import type { Commit, StoredDocument, StoreFault } from '../store/store.ts';
import type { Logger } from '../telemetry/log.ts';

/** A service whose newest document can't be used here. */
export interface ServiceFault {
  readonly service: string;
  readonly revision: number;
  readonly detail: string;
}

export interface FollowedStateOptions {
  readonly activeState: ActiveState;
  readonly changes: Pick<Changes, 'followCommit'>;
  readonly rollbacks: Pick<Rollbacks, 'follow'>;
  /** What of the state could not be read. */
  readonly faults: readonly ServiceFault[];
  /** The local moment at which the store's clock shows `at`. */
  readonly moment: (at: number) => number;
  readonly log: Pick<Logger, 'error'>;
}

export interface Followed {
  readonly revision: number;
  /** As they are in the store; this changes it to what can be used. */
  readonly documents: Map<string, StoredDocument>;
  /** Oldest first. */
  readonly commits: readonly Commit[];
  /** What of them could not be read. */
  readonly unreadable: readonly StoreFault[];
  /** `commits` with those that were taken before. */
  readonly known: readonly Commit[];
}

export class FollowedState {
  readonly #options: FollowedStateOptions;
  #faults: readonly ServiceFault[];

  constructor(options: FollowedStateOptions) {
    this.#options = options;
    this.#faults = options.faults;
  }

  get faults(): readonly ServiceFault[] {
    return this.#faults;
  }

  /** This replica has written a document of the service: it can be used. */
  wrote(service: string): void {
    this.#faults = this.#faults.filter((one) => one.service !== service);
  }

  /** Resolves when the workers were given it and what it rolls back is on this disk. */
  async take(followed: Followed): Promise<void> {
    const { activeState, changes, rollbacks } = this.#options;
    const { revision, documents, commits, known } = followed;
    const { state } = activeState;
    const found = this.#faultsOf(followed);
    const keepFormer = (service: string): void => {
      const former = state.documents.get(service);
      if (former === undefined) documents.delete(service);
      else documents.set(service, former);
    };
    for (const { service } of found) keepFormer(service);
    const next: ControlState = { ...state, revision, documents };
    const unready = await unreadyServices(activeState, next);
    for (const [service, detail] of unready) {
      found.push({ service, revision: documents.get(service)?.revision ?? revision, detail });
      keepFormer(service);
    }
    if (unready.size > 0) await activeState.ready(next);
    const kept = rollbacks.follow(known, documents);
    const before = new Map<string, RolloutState | null>();
    for (const commit of commits) {
      const former =
        before.get(commit.service) ?? state.documents.get(commit.service)?.document.rollout ?? null;
      changes.followCommit(commit, former);
      before.set(commit.service, commit.document?.rollout ?? null);
    }
    activeState.enact(next, { delays: this.#delaysOf(commits) });
    // Who has not got it on disk must not say that it is at this revision.
    await kept;
    this.#say(found);
    this.#faults = found;
  }

  /** The faults before, and those of what is new. A fault counts until something that can be read follows it. */
  #faultsOf({ revision, documents, commits, unreadable }: Followed): ServiceFault[] {
    const { state } = this.#options.activeState;
    const touched = new Set(commits.map(({ service }) => service));
    const readable = (service: string): number =>
      commits.findLast((one) => one.service === service)?.revision ?? -1;
    const unread = unreadable.filter((one) => one.revision > readable(one.service));
    const isNews = (service: string): boolean =>
      touched.has(service) || unread.some((one) => one.service === service);
    const found: ServiceFault[] = [
      ...this.#faults.filter(({ service }) => !isNews(service)),
      ...unread.map(({ service, revision: at, detail }) => ({ service, revision: at, detail })),
    ];
    for (const service of touched) {
      const detail = faultOf(state, service, documents.get(service));
      if (detail === null) continue;
      found.push({ service, revision: documents.get(service)?.revision ?? revision, detail });
    }
    return found;
  }

  /** Until when each service's new rollout waits. */
  #delaysOf(commits: readonly Commit[]): ReadonlyMap<string, number> {
    const delays = new Map<string, number>();
    for (const { service, activateAt } of commits) {
      if (activateAt === undefined) delays.delete(service);
      else delays.set(service, this.#options.moment(activateAt));
    }
    return delays;
  }

  #say(found: readonly ServiceFault[]): void {
    for (const fault of found) {
      if (this.#faults.includes(fault)) continue;
      this.#options.log.error(
        { 'serin.service': fault.service, 'serin.revision': fault.revision },
        `a document of the store can't be used here; the former one goes on: ${fault.detail}`,
      );
    }
  }
}

/**
 * Makes `next` ready; the services that can't be made so, with why: files that they name are each replica's own. One that lacks them must go on with
 * all other services. Rejects where something else is wrong.
 */
async function unreadyServices(
  activeState: ActiveState,
  next: ControlState,
): Promise<ReadonlyMap<string, string>> {
  try {
    await activeState.ready(next);
    return new Map();
  } catch (error) {
    if (!(error instanceof DocumentError)) throw error;
    const found = new Map<string, string>();
    for (const { pointer, detail } of error.faults) {
      const [, service = ''] = /^\/services\/([^/]+)\//.exec(pointer) ?? [];
      if (!next.documents.has(service)) throw error;
      found.set(service, found.get(service) ?? detail);
    }
    return found;
  }
}

/** Why the service can't be served by its new document with this replica's configuration; null where it can. */
function faultOf(state: ControlState, service: string, stored: StoredDocument | undefined): string | null {
  if (stored === undefined) return null;
  try {
    checkState({ ...state, documents: new Map([[service, stored]]) });
    return null;
  } catch (error) {
    if (error instanceof DocumentError) return error.faults.map(({ detail }) => detail).join('; ');
    throw error;
  }
}
