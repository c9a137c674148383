/**
 * Reads commits and documents as a shared store keeps them: whatever is there, it never throws, and what is not a commit or a
 * document of this version comes out as a sentence.
 *
 * Fields that this version does not know stay: a newer replica may have written them.
 */
import { isRecord, parsedJson } from '../schema/json-value.ts';
import { documentFault } from './document-shape.ts';
import { isCommit, isStoredDocument } from './log-records.ts';
import type { Commit, StoredDocument } from './store.ts';

/** A string is what is wrong with it. */
export function readCommit(json: string, revision: number): Commit | string {
  const value = parsedJson(json);
  if (value === undefined) return 'the commit is not JSON';
  if (!isCommit(value) || typeof value.changeId !== 'string' || typeof value.actor !== 'string')
    return 'it is not a commit that this version can read';
  if (value.revision !== revision) return `the commit says revision ${value.revision}`;
  if (value.activateAt !== undefined && !Number.isFinite(value.activateAt))
    return 'its moment of activation is no time';
  if (![value.reason, value.requestId].every((one) => one === null || typeof one === 'string'))
    return 'its reason or its request is no text';
  return (value.document === null ? null : documentFault(value.document)) ?? value;
}

/** A string is what is wrong with it. */
export function readDocument(json: string): StoredDocument | string {
  const value = parsedJson(json);
  if (value === undefined) return 'the document is not JSON';
  if (!isStoredDocument(value)) return 'it is not a document that this version can read';
  return documentFault(value.document) ?? value;
}

/** The revision that a broken document claims to be of, or -1. */
export function claimedRevision(json: string): number {
  const value = parsedJson(json);
  const revision = isRecord(value) ? value['revision'] : undefined;
  return typeof revision === 'number' && Number.isSafeInteger(revision) ? revision : -1;
}
