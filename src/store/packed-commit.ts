/**
 * Commits as stores write them: with the whole document, or with what differs from a document that was written whole before,
 * so that a small write of a large policy takes little room.
 *
 * It promises that what was packed is unpacked to exactly what it was. Each packed commit needs one whole document, its base, and
 * no other packed commit: damage stays where it is, and the oldest can be left out. A service has one base at a time, the
 * last document of it that was written whole; a document that is small is always written whole, as former versions do.
 */
import { isRecord } from '../schema/json-value.ts';
import { changesBetween, type DocumentChange, withChanges } from './document-changes.ts';
import type { Commit, ServiceDocument, StoredDocument } from './store.ts';

/** A commit whose document is told by what differs from that of its base. */
export interface PackedCommit extends Omit<Commit, 'document'> {
  /** The revision at which the service's document was written whole. */
  readonly base: number;
  /** The change that wrote it: where history was lost, a revision may have come to mean another one. */
  readonly baseChange?: string;
  readonly changes: readonly DocumentChange[];
}

/** Characters of a document's JSON below which it is always written whole: it saves too little. */
const SMALLEST_BASE = 16 * 1024;

interface Base extends StoredDocument {
  /** `''`: not known. */
  readonly changeId: string;
  /** Characters of the document's JSON; null: not known yet. */
  readonly size: number | null;
  /** Characters of the changes that were written since. */
  readonly spent: number;
}

export interface Packed {
  readonly json: string;
  /** The revision of the base that it needs; null where it is whole. */
  readonly base: number | null;
  /** The change that wrote the base; `''` where it is not known, or there is none. */
  readonly baseChange: string;
  readonly changes: readonly DocumentChange[];
}

const WHOLE = { base: null, baseChange: '', changes: [] } as const;

export interface Packer {
  /** A commit as it is to be written, in the order of the writes. `whole`: with its whole document in any case. */
  pack(commit: Commit, whole?: boolean): Packed;
  /** A whole document that the store holds: what follows for its service may be packed against it; null: there is none any more. */
  learn(service: string, stored: StoredDocument | null, changeId?: string): void;
  /** Takes back what was packed since: it was not written. */
  mark(): () => void;
  /** The service's base, where that has the revision. */
  baseOf(service: string, revision: number): ServiceDocument | undefined;
}

export function createPacker(): Packer {
  let bases = new Map<string, Base>();

  function writeWhole(commit: Commit, document: ServiceDocument): Packed {
    const json = JSON.stringify(commit);
    const { service, revision, changeId } = commit;
    bases.set(service, { revision, changeId, document, size: json.length, spent: 0 });
    return { ...WHOLE, json };
  }

  return {
    pack(commit, whole = false) {
      const { service, document } = commit;
      const former = bases.get(service);
      if (document === null) {
        bases.delete(service);
        return { ...WHOLE, json: JSON.stringify(commit) };
      }
      const base = former === undefined ? null : measured(former);
      if (base !== null && !whole && base.size >= SMALLEST_BASE) {
        const { document: _document, ...head } = commit;
        const changes = changesBetween(base.document, document);
        const { revision, changeId } = base;
        const named = changeId === '' ? {} : { baseChange: changeId };
        const packed: PackedCommit = { ...head, base: revision, ...named, changes };
        const json = JSON.stringify(packed);
        if (!leadsTo(json, base.document, document)) return writeWhole(commit, document);
        const spent = base.spent + json.length;
        // In all, changes take no more room than the document that they are changes of: then a new base is worth its room.
        if (spent <= base.size) {
          bases.set(service, { ...base, spent });
          return { json, base: revision, baseChange: changeId, changes };
        }
      }
      return writeWhole(commit, document);
    },
    learn(service, stored, changeId = '') {
      if (stored === null) bases.delete(service);
      else {
        const known = bases.get(service);
        if (known?.revision === stored.revision && known.changeId === changeId) return;
        const { revision, document } = stored;
        bases.set(service, { revision, document, changeId, size: null, spent: 0 });
      }
    },
    mark() {
      const before = new Map(bases);
      return () => {
        bases = before;
      };
    },
    baseOf(service, revision) {
      const base = bases.get(service);
      return base?.revision === revision ? base.document : undefined;
    },
  };
}

/** Whether it is unpacked to what was packed; what is alike is the same object, so it takes little to see. */
function leadsTo(json: string, base: ServiceDocument, document: ServiceDocument): boolean {
  const { changes } = JSON.parse(json) as PackedCommit;
  return changesBetween(withChanges(base, changes), document).length === 0;
}

function measured(base: Base): Base & { readonly size: number } {
  return { ...base, size: base.size ?? JSON.stringify(base.document).length };
}

/** Whether it says what a packed commit says, beside what every commit does. */
export function isPacked(value: { readonly [key: string]: unknown }): boolean {
  const { base, baseChange, revision, changes, document } = value;
  return (
    (baseChange === undefined || typeof baseChange === 'string') &&
    document === undefined &&
    Number.isSafeInteger(base) &&
    Number(base) > 0 &&
    Number(base) < Number(revision) &&
    Array.isArray(changes)
  );
}

/** The whole commit; null where the changes are none of that document, or lead to no document. */
export function unpack(packed: PackedCommit, base: ServiceDocument): Commit | null {
  const { base: _base, baseChange: _change, changes, ...head } = packed;
  const document = withChanges(base, changes);
  if (!isDocument(document)) return null;
  // In the order in which a commit is written.
  const { activateAt, ...rest } = head;
  return { ...rest, document, ...(activateAt === undefined ? {} : { activateAt }) };
}

export function isDocument(value: unknown): value is ServiceDocument {
  return isRecord(value) && isNullOrRecord(value['definition']) && isNullOrRecord(value['rollout']);
}

function isNullOrRecord(value: unknown): boolean {
  return value === null || isRecord(value);
}
