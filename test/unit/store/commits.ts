/** Commits and stores for tests of the file store. */
import { createFileStore, type FileStoreOptions } from '../../../src/store/file/file-store.ts';
import type { Commit, Loaded, Store, StoredDocument } from '../../../src/store/store.ts';
import type { RolloutState } from '../../../src/policy/rollout.ts';
import { memoryFiles, type MemoryFiles } from './memory-files.ts';

export const DIRECTORY = '/data';
export const LOG = '/data/commits.log';
export const NOW = Date.parse('2026-03-01T12:00:00Z');

function rolloutState(percentage: number): RolloutState {
  return {
    id: `r-${percentage}`,
    epoch: 1,
    seed: '00112233445566778899aabbccddeeff',
    bucketAlgorithm: 'xxh64-1',
    fingerprintKey: 'k1',
    phase: 'running',
    document: { rules: [{ name: 'everyone – tout le monde', percentage }] },
    step: -1,
    startedAt: '2026-03-01T11:00:00.000Z',
  };
}

export function makeCommit(revision: number, changes: Partial<Commit> = {}): Commit {
  const kind = revision % 7 === 0 ? 'service.delete' : 'rollout.percentage';
  return {
    revision,
    service: ['notes', 'shop', 'mail'][revision % 3] ?? 'notes',
    kind,
    at: new Date(NOW - 60_000 + revision).toISOString(),
    actor: 'spinnaker',
    reason: revision % 2 === 0 ? 'une raison "courte"\n' : null,
    requestId: `request-${revision}`,
    changeId: `change-${revision}`,
    document: kind === 'service.delete' ? null : { definition: null, rollout: rolloutState(revision % 100) },
    ...changes,
  };
}

/** The documents that commits lead to, by the plainest code there is. */
export function documentsAfter(commits: readonly Commit[]): Map<string, StoredDocument> {
  const documents = new Map<string, StoredDocument>();
  for (const { service, revision, document } of commits) {
    if (document === null) documents.delete(service);
    else documents.set(service, { revision, document });
  }
  return documents;
}

export interface Opened {
  readonly store: Store;
  readonly files: MemoryFiles;
  readonly warnings: string[];
}

export function storeOn(files: MemoryFiles = memoryFiles(), options: Partial<FileStoreOptions> = {}): Opened {
  const warnings: string[] = [];
  const store = createFileStore({
    directory: DIRECTORY,
    wallNow: () => NOW,
    warn: (message) => warnings.push(message),
    files,
    lock: async () => () => {},
    ...options,
  });
  return { store, files, warnings };
}

/** A log with that many commits, in frames of the sizes given, the last size repeated. */
export async function writtenLog(
  count: number,
  batches: readonly number[] = [1],
): Promise<{ bytes: Buffer; commits: Commit[]; ends: Map<number, number> }> {
  const { store, files } = storeOn();
  await store.load();
  const commits: Commit[] = [];
  /** Bytes of the log, by the number of commits in it. */
  const ends = new Map<number, number>();
  ends.set(0, files.contents(LOG)?.length ?? 0);
  for (let turn = 0; commits.length < count; turn++) {
    const size = Math.min(count - commits.length, batches[turn] ?? batches.at(-1) ?? 1);
    const batch = Array.from({ length: size }, (_, index) => makeCommit(commits.length + index + 1));
    await Promise.all(batch.map((commit) => store.commit(commit)));
    commits.push(...batch);
    ends.set(commits.length, files.contents(LOG)?.length ?? 0);
  }
  await store.close();
  return { bytes: Buffer.from(files.contents(LOG) ?? Buffer.alloc(0)), commits, ends };
}

export function revisions(loaded: Loaded | readonly Commit[]): number[] {
  return ('recent' in loaded ? loaded.recent : loaded).map((commit) => commit.revision);
}
