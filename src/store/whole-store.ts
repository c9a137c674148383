/**
 * All that a store holds, taken out of it to be put into another one or into a file.
 *
 * It promises that nothing is left out in silence: a document that can't be read is refused, and history that can't be is said.
 */
import { type Commit, type Loaded, StoreError, type StoredDocument } from './store.ts';

export interface WholeStore {
  /** The id of a store that replicas share; `''` where it has none. */
  readonly id: string;
  readonly revision: number;
  readonly documents: ReadonlyMap<string, StoredDocument>;
  /** The last commits without a gap, oldest first, up to `revision`; older ones are not known any more. */
  readonly history: readonly Commit[];
}

/** Throws StoreError `corrupt` where a document can't be read. `warn` is told of history that is left behind. */
export function wholeStore(id: string, loaded: Loaded, warn: (message: string) => void): WholeStore {
  const { revision, documents, recent, faults = [] } = loaded;
  // A commit that can't be read matters no more once its service was written again, or deleted.
  const isOver = (service: string, at: number): boolean =>
    (documents.get(service)?.revision ?? -1) > at ||
    recent.some((commit) => commit.service === service && commit.revision > at);
  const broken = faults.find((fault) => fault.changeId === '' || !isOver(fault.service, fault.revision));
  if (broken !== undefined) {
    const { service, revision: at, detail } = broken;
    const message = `The document of "${service}" (revision ${at}) can't be read: ${detail}. Write it anew through the API, then try again.`;
    throw new StoreError('corrupt', message);
  }
  let first = recent.length;
  for (let next = revision; first > 0 && recent[first - 1]?.revision === next; next--) first--;
  if (first > 0)
    warn(
      `${first} commits of the history are left behind: what follows after revision ${recent[first - 1]?.revision} can't be read`,
    );
  return { id, revision, documents, history: recent.slice(first) };
}
