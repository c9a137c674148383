/**
 * A file system in memory that fails and crashes on demand: what was not synced may be lost, in part or whole.
 *
 * Writes reach the "disk" by sectors and in any subset until they are synced; a sync that fails loses them for good,
 * as Linux does. Names survive a crash only once their directory was synced.
 */
import type { StoreFile, StoreFiles } from '../../../src/files/file-system.ts';

type Change =
  | { readonly kind: 'write'; readonly bytes: Buffer; readonly position: number }
  | { readonly kind: 'truncate'; readonly size: number };

interface Inode {
  /** What a reader sees. */
  current: Buffer;
  /** What is on the disk for certain. */
  synced: Buffer;
  pending: Change[];
}

export type Operation =
  | 'open'
  | 'create'
  | 'read'
  | 'write'
  | 'truncate'
  | 'sync'
  | 'rename'
  | 'remove'
  | 'syncDirectory'
  | 'makeDirectory';

export interface MemoryFiles extends StoreFiles {
  /** Bytes that all files may take together. */
  capacity: number;
  /** Called before each operation; what it throws is the operation's error. */
  before: (operation: Operation, file: string) => void;
  /** Counts operations. */
  readonly operations: () => number;
  readonly contents: (file: string) => Buffer | undefined;
  readonly put: (file: string, bytes: Buffer) => void;
  /** What a machine that lost power now would start with. `pick(n)` chooses a number below n. */
  readonly afterCrash: (pick: (count: number) => number) => MemoryFiles;
}

const SECTOR = 512;

export function fault(code: string): Error {
  return Object.assign(new Error(`${code}: made to fail`), { code });
}

export function memoryFiles(initial: ReadonlyMap<string, Buffer> = new Map()): MemoryFiles {
  const names = new Map<string, Inode>();
  let syncedNames = new Map<string, Inode>();
  let pendingNames: Map<string, Inode>[] = [];
  let count = 0;

  const put = (file: string, bytes: Buffer): void => {
    names.set(file, { current: Buffer.from(bytes), synced: Buffer.from(bytes), pending: [] });
    syncedNames = new Map(names);
  };
  for (const [file, bytes] of initial) put(file, bytes);

  const used = (): number =>
    [...new Set(names.values())].reduce((sum, inode) => sum + inode.current.length, 0);
  const step = (operation: Operation, file: string): void => {
    count += 1;
    files.before(operation, file);
  };
  const named = (): void => {
    pendingNames.push(new Map(names));
  };

  const handle = (inode: Inode, file: string): StoreFile => ({
    async size() {
      return inode.current.length;
    },
    async read(into, position) {
      step('read', file);
      return position >= inode.current.length ? 0 : inode.current.copy(into, 0, position);
    },
    async write(bytes, position) {
      let error: Error | null = null;
      try {
        step('write', file);
      } catch (thrown) {
        error = thrown instanceof Error ? thrown : new Error(String(thrown));
      }
      const growth = Math.max(0, position + bytes.length - inode.current.length);
      const room = files.capacity - used();
      // A failing write leaves a part of it behind.
      const part =
        error === null && growth <= room
          ? bytes
          : bytes.subarray(0, error === null ? Math.max(0, bytes.length - growth + room) : bytes.length >> 1);
      if (part.length > 0) apply(inode, { kind: 'write', bytes: Buffer.from(part), position });
      if (error !== null) throw error;
      if (part.length < bytes.length) throw fault('ENOSPC');
    },
    async truncate(size) {
      step('truncate', file);
      apply(inode, { kind: 'truncate', size });
    },
    async sync() {
      try {
        step('sync', file);
      } catch (error) {
        // The kernel reports a failed write-back once and then calls the pages clean.
        inode.pending = [];
        throw error;
      }
      for (const change of inode.pending) inode.synced = changed(inode.synced, change);
      inode.pending = [];
    },
    async close() {},
  });

  const files: MemoryFiles = {
    capacity: Infinity,
    before: () => {},
    operations: () => count,
    contents: (file) => names.get(file)?.current,
    put,
    async makeDirectory(directory) {
      step('makeDirectory', directory);
    },
    async open(file) {
      step('open', file);
      const inode = names.get(file);
      return inode === undefined ? null : handle(inode, file);
    },
    async create(file) {
      step('create', file);
      const inode: Inode = { current: Buffer.alloc(0), synced: Buffer.alloc(0), pending: [] };
      names.set(file, inode);
      named();
      return handle(inode, file);
    },
    async rename(from, to) {
      step('rename', from);
      const inode = names.get(from);
      if (inode === undefined) throw fault('ENOENT');
      names.delete(from);
      names.set(to, inode);
      named();
    },
    async remove(file) {
      step('remove', file);
      if (names.delete(file)) named();
    },
    async syncDirectory(directory) {
      step('syncDirectory', directory);
      syncedNames = new Map(names);
      pendingNames = [];
    },
    afterCrash(pick) {
      const kept = pick(pendingNames.length + 1);
      const survivors = kept === 0 ? syncedNames : (pendingNames[kept - 1] ?? syncedNames);
      return memoryFiles(new Map([...survivors].map(([file, inode]) => [file, afterCrash(inode, pick)])));
    },
  };
  return files;
}

function apply(inode: Inode, change: Change): void {
  inode.current = changed(inode.current, change);
  inode.pending.push(change);
}

function changed(bytes: Buffer, change: Change): Buffer {
  if (change.kind === 'truncate') {
    const result = Buffer.alloc(change.size);
    bytes.copy(result);
    return result;
  }
  const result = Buffer.alloc(Math.max(bytes.length, change.position + change.bytes.length));
  bytes.copy(result);
  change.bytes.copy(result, change.position);
  return result;
}

/** What was synced, and of the rest any sectors: a lost one is as it was, or zeros where the file grew. */
function afterCrash(inode: Inode, pick: (count: number) => number): Buffer {
  let bytes = inode.synced;
  for (const change of inode.pending) {
    if (change.kind === 'truncate') {
      if (pick(2) === 1) bytes = changed(bytes, change);
      continue;
    }
    // Sometimes only the beginning was written, down to the byte.
    if (pick(3) === 0) {
      bytes = changed(bytes, { ...change, bytes: change.bytes.subarray(0, pick(change.bytes.length + 1)) });
      continue;
    }
    for (let start = 0; start < change.bytes.length;) {
      const end = Math.min(change.bytes.length, start + SECTOR - ((change.position + start) % SECTOR));
      const position = change.position + start;
      if (pick(2) === 1)
        bytes = changed(bytes, { kind: 'write', bytes: change.bytes.subarray(start, end), position });
      start = end;
    }
  }
  return Buffer.from(bytes);
}
