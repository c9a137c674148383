/**
 * What the frames of a log say: batches of commits, or the documents that older commits led to.
 *
 * A frame that is whole but says something else was written by another program or by a damaged one; it is refused.
 */
import { isRecord, parsedJson } from '../schema/json-value.ts';
import type { Commit, ServiceDocument, StoredDocument } from './store.ts';

/** The documents as of one revision; it stands for all commits up to it. */
export interface LogSnapshot {
  readonly revision: number;
  readonly documents: readonly (readonly [service: string, document: StoredDocument])[];
}

export type LogRecord =
  | { readonly kind: 'commits'; readonly commits: readonly Commit[] }
  | { readonly kind: 'snapshot'; readonly snapshot: LogSnapshot };

/** Several commits in one frame, so that they are all there after a crash or none is. `commits` are JSON already. */
export function encodeCommits(commits: readonly string[]): string {
  return `{"commits":[${commits.join(',')}]}`;
}

export function encodeSnapshot(snapshot: LogSnapshot): string {
  return JSON.stringify({ snapshot });
}

/** Null where the JSON is no record of this version. */
export function decodeRecord(json: string): LogRecord | null {
  const value = parsedJson(json);
  if (!isRecord(value)) return null;
  const { commits, snapshot } = value;
  if (Array.isArray(commits) && commits.length > 0 && commits.every((one: unknown) => isCommit(one))) {
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

export function isCommit(value: unknown): value is Commit {
  return (
    isRecord(value) &&
    isRevision(value['revision']) &&
    typeof value['service'] === 'string' &&
    typeof value['kind'] === 'string' &&
    typeof value['at'] === 'string' &&
    (value['document'] === null || isDocument(value['document']))
  );
}

function isSnapshot(value: unknown): value is LogSnapshot {
  if (!isRecord(value) || !Array.isArray(value['documents'])) return false;
  const { revision, documents } = value;
  if (!isRevision(revision)) return false;
  return documents.every((pair: unknown) => {
    if (!Array.isArray(pair) || typeof pair[0] !== 'string') return false;
    return isStoredDocument(pair[1]) && pair[1].revision <= revision;
  });
}

export function isStoredDocument(value: unknown): value is StoredDocument {
  return isRecord(value) && isRevision(value['revision']) && isDocument(value['document']);
}

function isDocument(value: unknown): value is ServiceDocument {
  return isRecord(value) && isNullOrRecord(value['definition']) && isNullOrRecord(value['rollout']);
}

function isNullOrRecord(value: unknown): boolean {
  return value === null || isRecord(value);
}
