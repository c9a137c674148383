/**
 * The changes that are known, by id, by request id and the latest of each service, for a day.
 *
 * It promises that a change which has not ended is not let go of before there are far too many.
 */
import { HISTORY_TIME } from '../store/kept-history.ts';
import { type Change, isFinal } from './change.ts';
import { digestOf } from './change-id.ts';
import { createRequestIds, type RequestMade } from './request-ids.ts';

/** More than anybody makes in a day; a bound for memory. */
const MOST_CHANGES = 100_000;

export interface ChangeMemoryOptions {
  /** Milliseconds since 1970. */
  readonly wallNow: () => number;
  /** A change is not known any more. */
  readonly onDropped: (id: string) => void;
}

export class ChangeMemory {
  readonly #options: ChangeMemoryOptions;
  readonly #byId = new Map<string, Change>();
  readonly #requestIds = createRequestIds(MOST_CHANGES);
  readonly #latestOf = new Map<string, string>();

  constructor(options: ChangeMemoryOptions) {
    this.#options = options;
  }

  find(id: string): Change | undefined {
    return this.#byId.get(id);
  }

  /** Fails where it is not known. */
  need(id: string): Change {
    const change = this.#byId.get(id);
    if (change === undefined) throw new Error(`There is no change ${id}.`);
    return change;
  }

  all(): Iterable<Change> {
    return this.#byId.values();
  }

  put(change: Change): Change {
    this.#byId.set(change.id, change);
    return change;
  }

  byRequestId(service: string, requestId: string): RequestMade | undefined {
    return this.#requestIds.find(service, requestId);
  }

  /** From now on its request id finds it. */
  remember({ id, service, requestId }: Pick<Change, 'id' | 'service' | 'requestId'>): void {
    this.#requestIds.remember(service, requestId, { id, digest: digestOf(id) });
  }

  /** As `remember`, where the request id finds nothing yet. */
  rememberFirst(change: Pick<Change, 'id' | 'service' | 'requestId'>): void {
    if (this.byRequestId(change.service, change.requestId ?? '') === undefined) this.remember(change);
  }

  /** The change goes, and its request id finds `instead` from now on. */
  replace(change: Change, instead: string): void {
    this.drop(change);
    this.#requestIds.remember(change.service, change.requestId, {
      id: instead,
      digest: digestOf(change.id),
    });
  }

  /** The youngest change that made a revision of the service. */
  latest(service: string): Change | undefined {
    return this.#byId.get(this.#latestOf.get(service) ?? '');
  }

  /** The change is the service's latest from now on. */
  setLatest({ service, id }: Pick<Change, 'service' | 'id'>): void {
    this.#latestOf.set(service, id);
  }

  drop({ id, service, requestId }: Change): void {
    this.#byId.delete(id);
    this.#requestIds.forget(service, requestId, id);
    if (this.#latestOf.get(service) === id) this.#latestOf.delete(service);
    this.#options.onDropped(id);
  }

  /** Lets go of what is older than a day. */
  expire(): void {
    // The map is in order of creation, but for what was learned later.
    for (const change of this.#byId.values()) {
      const tooMany = this.#byId.size > MOST_CHANGES;
      if (!tooMany && !this.isOld(change.createdAt)) return;
      if (isFinal(change.status)) this.drop(change);
      else if (!tooMany) return;
    }
  }

  /** Whether a change that was made then, in RFC 3339, is older than a day; so is one of which that is not known. */
  isOld(createdAt: string | null): boolean {
    return !(Date.parse(createdAt ?? '') >= this.#options.wallNow() - HISTORY_TIME);
  }
}
