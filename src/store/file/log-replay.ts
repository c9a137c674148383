/**
 * Reads a whole log: every commit in order, and the documents they lead to.
 *
 * It promises a state that the log's commits make, up to its last whole frame, or a StoreError `corrupt` that says where
 * the damage is and what can be done. It changes nothing.
 */
import { HEADER_SIZE } from './log-format.ts';
import { readFrames } from './log-reader.ts';
import { applyCommit, decodeRecord, type WrittenCommit } from '../log-records.ts';
import { unpack } from '../packed-commit.ts';
import { type Commit, StoreError, type StoredDocument } from '../store.ts';
import type { StoreFile } from '../../files/file-system.ts';

/** Where a frame of commits stands, and the first revision it holds. */
export interface FramePlace {
  readonly offset: number;
  readonly size: number;
  readonly first: number;
}

export interface Replayed {
  readonly revision: number;
  readonly documents: Map<string, StoredDocument>;
  /** The base of each service, against which its next commit may be packed. */
  readonly bases: Map<string, StoredDocument>;
  readonly frames: FramePlace[];
  /** Where the last whole frame ends. */
  readonly end: number;
  /** Bytes after that, of a frame that a crash tore off. */
  readonly tornBytes: number;
}

/**
 * Replays a log up to `until`, its end if unsaid. `base` is the revision that its header names: where it is not 0, a
 * snapshot of it must come first; null where that was checked before.
 */
export async function replay(
  file: StoreFile,
  name: string,
  base: number | null,
  visit: (commit: Commit) => void,
  until?: number,
): Promise<Replayed> {
  const size = until ?? (await file.size());
  let documents = new Map<string, StoredDocument>();
  let bases = new Map<string, StoredDocument>();
  const frames: FramePlace[] = [];
  let revision = 0;
  let awaited = base;

  const read = await readFrames(file, HEADER_SIZE, size, (json, offset, frameSize) => {
    const refuse = (what: string): StoreError => damaged(name, offset, revision, what);
    const record = decodeRecord(json);
    if (record === null) throw refuse('a frame holds no record of this version');
    if (record.kind === 'snapshot') {
      const { snapshot } = record;
      if (offset !== HEADER_SIZE) throw refuse('a snapshot stands among the commits');
      if (awaited !== null && snapshot.revision !== awaited)
        throw refuse(`a snapshot of revision ${awaited} should stand here`);
      documents = new Map(snapshot.documents);
      bases = new Map([...snapshot.documents, ...(snapshot.bases ?? [])]);
      revision = snapshot.revision;
      awaited = null;
      return;
    }
    if (awaited !== null && awaited > 0) throw refuse(`a snapshot of revision ${awaited} should stand here`);
    frames.push({ offset, size: frameSize, first: revision + 1 });
    for (const written of record.commits) {
      if (written.revision !== revision + 1)
        throw refuse(`revision ${written.revision} follows revision ${revision}`);
      const commit = whole(written, bases);
      if (commit === null)
        throw refuse(`revision ${written.revision} says changes of a document that is not there`);
      revision = commit.revision;
      applyCommit(documents, commit);
      if (commit === written) applyCommit(bases, commit);
      visit(commit);
    }
  });

  // A log with a base was made whole, snapshot included, before it got its name; so no crash can have torn the snapshot.
  if (awaited !== null && awaited > 0)
    throw damaged(name, HEADER_SIZE, 0, `the snapshot of revision ${awaited} is not whole`);
  if (read.tail === 'damaged') throw damaged(name, read.end, revision, 'a frame does not match its checksum');
  if (until !== undefined && read.end !== until)
    throw damaged(name, read.end, revision, 'a frame is not whole any more');
  return { revision, documents, bases, frames, end: read.end, tornBytes: size - read.end };
}

/** The whole commit; null where its base is not the service's, or not that document. */
function whole(written: WrittenCommit, bases: ReadonlyMap<string, StoredDocument>): Commit | null {
  if ('document' in written) return written;
  const base = bases.get(written.service);
  return base?.revision === written.base ? unpack(written, base.document) : null;
}

/** The refusal of a damaged log: where, and what can be done. */
export function damaged(name: string, offset: number, revision: number, what: string): StoreError {
  const remedy =
    revision > 0
      ? `restore it from a backup, or, to give up everything after revision ${revision}, run \`truncate -s ${offset} ${name}\``
      : 'restore it from a backup, or, to begin with an empty store (no service has a rollout then), move it away';
  const message = `The store ${name} is damaged at byte ${offset}, after revision ${revision}: ${what}. Nothing was changed. With the proxy stopped, ${remedy}.`;
  return new StoreError('corrupt', message);
}
