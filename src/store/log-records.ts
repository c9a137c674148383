/**
 * What the frames of a log say: batches of commits, some of them packed, or the documents that older commits led to.
 *
 * A frame that is whole but says something else was written by another program or by a damaged one; it is refused.
 */
import { isRecord, parsedJson } from '../schema/json-value.ts';
import { isDocument, isPacked, type PackedCommit } from './packed-commit.ts';
import type { Commit, StoredDocument } from './store.ts';

/** The documents as of one revision; it stands for all commits up to it. */
export interface LogSnapshot {
  readonly revision: number;
  readonly documents: readonly (readonly [service: string, document: StoredDocument])[];
  /** The bases of commits that come after it, where they are not among the documents. */
  readonly bases?: readonly (readonly [service: string, document: StoredDocument])[];
}

/** A commit as it stands in a frame. */
export type WrittenCommit = Commit | PackedCommit;

export type LogRecord =
  | { readonly kind: 'commits'; readonly commits: readonly WrittenCommit[] }
  | { readonly kind: 'snapshot'; readonly snapshot: LogSnapshot };

/** Several commits in one frame, so that they are all there after a crash or none is. `commits` are JSON already. */
export function encodeCommits(commits: readonly string[]): string {
  return `{"commits":[${commits.join(',')}]}`;
}

/** Characters of JSON that are written as one frame at most, unless a single commit is larger. */
export const LARGEST_BATCH = 8 * 1024 * 1024;

export function encodeSnapshot(snapshot: LogSnapshot): string {
  return JSON.stringify({ snapshot });
}

/** Null where the JSON is no record of this version. */
export function decodeRecord(json: string): LogRecord | null {
  const value = parsedJson(json);
  if (!isRecord(value)) return null;
  const { commits, snapshot } = value;
  if (Array.isArray(commits) && commits.length > 0 && commits.every((one: unknown) => isWritten(one))) {
    return { kind: 'commits', commits };
  }
  return isSnapshot(snapshot) ? { kind: 'snapshot', snapshot } : null;
}

/** Applies one commit to a map of documents. */
export function applyCommit(documents: Map<string, StoredDocument>, commit: Commit): void {
  if (commit.document === null) documents.delete(commit.service);
  else documents.set(commit.service, { revision: commit.revision, document: commit.document });
}

/** Whether it is a revision: whole, exact, and no lower than the store's first (`lowest` 0: or that of an empty store). */
export function isRevision(value: unknown, lowest: 0 | 1 = 1): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= lowest;
}

function isWritten(value: unknown): value is WrittenCommit {
  return isCommit(value) || isPackedCommit(value);
}

export function isPackedCommit(value: unknown): value is PackedCommit {
  return isHead(value) && isPacked(value);
}

export function isCommit(value: unknown): value is Commit {
  return isHead(value) && (value['document'] === null || isDocument(value['document']));
}

/** What every commit says, packed or not. */
function isHead(value: unknown): value is { readonly [key: string]: unknown } {
  return (
    isRecord(value) &&
    isRevision(value['revision']) &&
    typeof value['service'] === 'string' &&
    typeof value['kind'] === 'string' &&
    typeof value['at'] === 'string'
  );
}

function isSnapshot(value: unknown): value is LogSnapshot {
  if (!isRecord(value) || !Array.isArray(value['documents'])) return false;
  const { revision, documents, bases = [] } = value;
  if (!isRevision(revision) || !Array.isArray(bases)) return false;
  return [documents, bases as unknown[]].flat().every((pair: unknown) => {
    if (!Array.isArray(pair) || typeof pair[0] !== 'string') return false;
    return isStoredDocument(pair[1]) && pair[1].revision <= revision;
  });
}

export function isStoredDocument(value: unknown): value is StoredDocument {
  return isRecord(value) && isRevision(value['revision']) && isDocument(value['document']);
}
