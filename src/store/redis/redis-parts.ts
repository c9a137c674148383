/** What is sent to Redis for commits and documents, packed where that is possible and whole otherwise, and its numbers. Pure. */
import { packedDocument } from '../commit-shape.ts';
import { createPacker, type Packed } from '../packed-commit.ts';
import type { Sync } from '../shared-store.ts';
import type { Commit, Loaded } from '../store.ts';

/** The text that stands for the service's document after the commit; `''`: there is none. */
export function storedText({ revision, document }: Commit, { base, baseChange, changes }: Packed): string {
  if (document === null) return '';
  if (base === null) return JSON.stringify({ revision, document });
  return packedDocument(base, baseChange, revision, changes);
}

/** Whether a commit can be no base: what stands for its change must be a word. */
export function unnamed({ changeId }: Commit): boolean {
  return !/^[^\s]+$/.test(changeId);
}

export interface RestoreParts {
  /** Whether anything is packed. */
  readonly packed: boolean;
  /** Services and texts in turn. */
  readonly documents: readonly string[];
  /** Of each: entry id, service, change, time, base and its change (`''`: none), JSON. */
  readonly commits: readonly (readonly (string | number)[])[];
}

/** A whole state as it is put into Redis. Of what takes more than so many bytes the newest commits are put there. */
export function restoreParts(
  { documents, recent }: Pick<Loaded, 'documents' | 'recent'>,
  packs: boolean,
  historyBytes: number,
): RestoreParts {
  const packer = createPacker();
  const texts = new Map<string, { readonly revision: number; readonly text: string }>();
  const written = recent.map((one) => {
    const packed = packer.pack(one, !packs || unnamed(one));
    texts.set(one.service, { revision: one.revision, text: storedText(one, packed) });
    return { one, packed };
  });
  let bytes = 0;
  let from = written.length;
  while (from > 0) {
    bytes += written[from - 1]!.packed.json.length;
    if (bytes > historyBytes && from < written.length) break;
    from -= 1;
  }
  // What is kept must not need what is not.
  const first = written[from]?.one.revision ?? 0;
  if (written.slice(from).some(({ packed }) => packed.base !== null && packed.base < first))
    return restoreParts({ documents, recent: recent.slice(from) }, packs, historyBytes);
  const kept = written.slice(from);
  return {
    packed: kept.some(({ packed }) => packed.base !== null),
    documents: [...documents].flatMap(([service, stored]) => {
      const last = texts.get(service);
      return [service, last?.revision === stored.revision ? last.text : JSON.stringify(stored)];
    }),
    commits: kept.map(({ one, packed }) => {
      const at = Date.parse(one.at);
      const { base, baseChange, json } = packed;
      const time = Number.isFinite(at) ? at : 0;
      return [`${one.revision}-0`, one.service, one.changeId, time, base ?? '', baseChange, json];
    }),
  };
}

/** The number that a text of Redis stands for; `otherwise` where it is none. */
export function finite(text: unknown, otherwise: number): number {
  const number = Number(text);
  return Number.isFinite(number) ? number : otherwise;
}

/** The register of replicas: name, record and age in turn. An age that is none counts as `oldest`, in ms. */
export function readReplicas(list: unknown, oldest: number): Sync['replicas'] {
  const texts = Array.isArray(list) ? list.map(String) : [];
  const found: Sync['replicas'][number][] = [];
  for (let at = 0; at + 2 < texts.length; at += 3)
    found.push({ name: texts[at] ?? '', record: texts[at + 1] ?? '', age: finite(texts[at + 2], oldest) });
  return found;
}
