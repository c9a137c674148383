/**
 * A whole store as lines of JSON, for backups: a head, a line for each document and for each commit, and the sum of all of
 * that in the last line.
 *
 * It promises that what is cut short, damaged, foreign or from a newer version is refused as a whole.
 */
import { hash } from 'node:crypto';
import { isRecord, parsedJson } from '../schema/json-value.ts';
import { isCommit, isRevision, isStoredDocument } from './log-records.ts';
import { type Commit, StoreError, type StoreErrorCode, type StoredDocument } from './store.ts';
import type { WholeStore } from './whole-store.ts';

const KIND = 'serin-export';
const FORMAT = 1;

/** Characters of history that an export holds: each commit has its whole document there, and a text can't be longer than 512 MB. */
const MOST_HISTORY = 128 * 1024 * 1024;

/** The store with as much of its history as an export may hold: the newest. */
export function fittingExport(whole: WholeStore, most: number = MOST_HISTORY): WholeStore {
  let size = 0;
  let from = whole.history.length;
  while (from > 0) {
    size += JSON.stringify(whole.history[from - 1]).length;
    if (size > most) break;
    from -= 1;
  }
  return from === 0 ? whole : { ...whole, history: whole.history.slice(from) };
}

/** The same text for the same contents. */
export function encodeExport({ id, revision, documents, history }: WholeStore): string {
  const byName = [...documents].toSorted(([one], [other]) => (one < other ? -1 : 1));
  const lines = [
    { kind: KIND, format: FORMAT, id, revision, documents: documents.size, commits: history.length },
    ...byName.map(([service, stored]) => ({ service, ...stored })),
    ...history.map((commit) => ({ commit })),
  ];
  const body = lines.map((line) => `${JSON.stringify(line)}\n`).join('');
  return `${body}${JSON.stringify({ sha256: hash('sha256', body) })}\n`;
}

/** Throws StoreError `foreign`, `newer` or `corrupt`; `name` is for its message. */
export function decodeExport(text: string, name: string): WholeStore {
  const refuse = (code: StoreErrorCode, what: string): StoreError =>
    new StoreError(code, `The export ${name} ${what}. Nothing was changed.`);
  const [firstLine = ''] = text.split('\n', 1);
  const head = parsedJson(firstLine);
  if (!isRecord(head) || head['kind'] !== KIND)
    throw refuse('foreign', 'is none of Serin: its first line does not say so');
  const format = head['format'];
  if (!isRevision(format))
    throw refuse('corrupt', `names no format: ${JSON.stringify(format)} stands where 1 or more should`);
  if (format > FORMAT)
    throw refuse('newer', `was written by a newer version (format ${format}; this one reads ${FORMAT})`);

  const end = text.lastIndexOf('\n', text.length - 2) + 1;
  const last = parsedJson(text.slice(end));
  if (!isRecord(last) || typeof last['sha256'] !== 'string')
    throw refuse('corrupt', 'is cut short: its last line is not its sum');
  const body = text.slice(0, end);
  if (last['sha256'] !== hash('sha256', body)) throw refuse('corrupt', 'is damaged: its sum does not match');

  const { id, revision } = head;
  const documents = new Map<string, StoredDocument>();
  const history: Commit[] = [];
  for (const [index, line] of body.split('\n').slice(1, -1).entries()) {
    const value = parsedJson(line);
    const { service, commit, ...stored } = isRecord(value) ? value : {};
    if (typeof service === 'string' && isStoredDocument(stored)) documents.set(service, stored);
    else if (isCommit(commit)) history.push(commit);
    else throw refuse('corrupt', `holds something else than a document or a commit in line ${index + 2}`);
  }
  const fits =
    typeof id === 'string' &&
    isRevision(revision, 0) &&
    head['documents'] === documents.size &&
    head['commits'] === history.length &&
    [...documents.values()].every((one) => one.revision <= revision) &&
    history.every((commit, index) => commit.revision === revision - history.length + 1 + index);
  if (!fits) throw refuse('corrupt', 'does not hold what its first line says');
  return { id, revision, documents, history };
}
