/**
 * Reads commits and documents as a shared store keeps them: whatever is there, it never throws, and what is not a commit or a
 * document of this version comes out as a sentence.
 *
 * Fields that this version does not know stay: a newer replica may have written them.
 */
import { isRecord, parsedJson } from '../schema/json-value.ts';
import { withChanges } from './document-changes.ts';
import { documentFault } from './document-shape.ts';
import { isCommit, isPackedCommit, isStoredDocument } from './log-records.ts';
import { unpack } from './packed-commit.ts';
import type { Commit, StoredDocument } from './store.ts';

/** The commit of a base, made by that change; undefined where it is not known. */
export type BaseOf = (base: number, baseChange: string) => Commit | undefined;

const NO_BASE: BaseOf = () => undefined;

/** A string is what is wrong with it. */
export function readCommit(json: string, revision: number, baseOf: BaseOf = NO_BASE): Commit | string {
  const written = parsedJson(json);
  if (written === undefined) return 'the commit is not JSON';
  let value = written;
  if (isPackedCommit(written)) {
    const base = baseOf(written.base, written.baseChange ?? '');
    if (base === undefined || base.document === null || base.service !== written.service)
      return `what it changes, revision ${written.base}, is not there`;
    const commit = unpack(written, base.document);
    if (commit === null) return `its changes are none of revision ${written.base}`;
    value = commit;
  }
  return checkedCommit(value, revision);
}

/** The same of a value. */
export function checkedCommit(value: unknown, revision: number): Commit | string {
  if (!isCommit(value) || typeof value.changeId !== 'string' || typeof value.actor !== 'string')
    return 'it is not a commit that this version can read';
  if (value.revision !== revision) return `the commit says revision ${value.revision}`;
  if (value.activateAt !== undefined && !Number.isFinite(value.activateAt))
    return 'its moment of activation is no time';
  if (![value.reason, value.requestId].every((one) => one === null || typeof one === 'string'))
    return 'its reason or its request is no text';
  return (value.document === null ? null : documentFault(value.document)) ?? value;
}

/** What a shared store holds in the place of a document: the JSON of its last commit's changes. It begins by `{"base":`. */
export function packedDocument(
  base: number,
  baseChange: string,
  revision: number,
  changes: readonly unknown[],
): string {
  return JSON.stringify({ base, revision, baseChange, changes });
}

/** A string is what is wrong with it. */
export function readDocument(
  service: string,
  json: string,
  baseOf: BaseOf = NO_BASE,
): StoredDocument | string {
  const written = parsedJson(json);
  if (written === undefined) return 'the document is not JSON';
  let value = written;
  if (isRecord(written) && !('document' in written) && Number.isSafeInteger(written['base'])) {
    const { base, baseChange, revision, changes } = written;
    const found = baseOf(Number(base), String(baseChange));
    if (found === undefined || found.service !== service)
      return `what it changes, revision ${Number(base)}, is not there`;
    value = { revision, document: withChanges(found.document, changes) };
  }
  if (!isStoredDocument(value)) return 'it is not a document that this version can read';
  return documentFault(value.document) ?? value;
}

/** The revision that a broken document claims to be of, or -1. */
export function claimedRevision(json: string): number {
  const value = parsedJson(json);
  const revision = isRecord(value) ? value['revision'] : undefined;
  return typeof revision === 'number' && Number.isSafeInteger(revision) ? revision : -1;
}
