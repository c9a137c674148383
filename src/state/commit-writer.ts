/**
 * The last steps of a write that is planned: compiled ahead, in the store, handed to the workers.
 *
 * It promises that what cannot be compiled or stored has changed nothing. In the write queue only.
 */
import type { Changes } from '../rollout/changes.ts';
import { type Commit, isConflict, type ServiceDocument, type Store, StoreError } from '../store/store.ts';
import type { Logger } from '../telemetry/log.ts';
import type { ActiveState } from './active-state.ts';
import type { ControlState } from './state.ts';

export interface CommitWriterOptions {
  readonly store: Pick<Store, 'commit'>;
  readonly activeState: ActiveState;
  readonly changes: Changes;
  readonly log: Logger;
  /** Other replicas write to the store too: who comes second plans again, and that is no trouble. */
  readonly isShared: boolean;
  /** The store has the commit. Never rejects. */
  readonly onCommitted: (commit: Commit) => Promise<void>;
  /** The local moment at which the store's clock shows `at`, in ms. */
  readonly moment: (at: number) => number;
  /** A write to the store failed. */
  readonly onFailure: () => void;
  /** A service's document has changed. */
  readonly onWritten: (service: string) => void;
}

export class CommitWriter {
  readonly #options: CommitWriterOptions;
  #available = true;

  constructor(options: CommitWriterOptions) {
    this.#options = options;
  }

  /** Whether the last write succeeded. */
  get available(): boolean {
    return this.#available;
  }

  /**
   * Makes the next revision of the state. `onStored` is called when the store has it, before the workers do. Rejects with StoreError, and
   * with what the document names and this replica lacks.
   */
  async write(entry: Omit<Commit, 'revision'>, onStored: (commit: Commit) => void): Promise<void> {
    const { activeState, changes, log, onCommitted, moment, onWritten } = this.#options;
    const { service, document, changeId, activateAt } = entry;
    const revision = activeState.state.revision + 1;
    const next = successor(activeState.state, revision, service, document);
    await activeState.ready(next);
    const commit: Commit = { ...entry, revision };
    await this.#store(commit);
    await onCommitted(commit);
    onStored(commit);
    try {
      const delays = activateAt === undefined ? [] : [[service, moment(activateAt)] as const];
      activeState.enact(next, { delays: new Map(delays) });
    } catch (error) {
      log.error(
        { err: error, 'serin.service': service, 'serin.revision': revision },
        'a revision cannot be applied',
      );
      changes.fail(changeId, 'it cannot be applied; the log says why');
    }
    onWritten(service);
  }

  async #store(commit: Commit): Promise<void> {
    const { store, log, isShared, onFailure } = this.#options;
    try {
      await store.commit(commit);
    } catch (error) {
      if (isConflict(error) && isShared) throw error;
      if (!isConflict(error)) {
        this.#available = false;
        onFailure();
      }
      log.error({ err: error, 'serin.service': commit.service }, 'the store did not take a write');
      throw error instanceof StoreError
        ? error
        : new StoreError('unavailable', 'The store failed.', { cause: error });
    }
    if (!this.#available) log.info({}, 'the store takes writes again');
    this.#available = true;
  }
}

/** Says that the store took a write; `more` are further fields. */
export function logAccepted(
  log: Pick<Logger, 'info'>,
  { service, kind, revision, actor, reason, changeId }: Commit,
  more: Readonly<Record<string, unknown>> = {},
): void {
  log.info(
    {
      'serin.service': service,
      'serin.kind': kind,
      'serin.revision': revision,
      'serin.actor': actor,
      'serin.reason': reason,
      'serin.change': changeId,
      ...more,
    },
    'accepted',
  );
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
