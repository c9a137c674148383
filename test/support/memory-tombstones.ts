/** A file of tombstones in memory that can be made to fail or to hang. */
import type { TombstoneFile, TombstoneLine } from '../../src/store/file/tombstone-file.ts';
import { StoreError } from '../../src/store/store.ts';

export interface MemoryTombstones extends TombstoneFile {
  lines: readonly TombstoneLine[];
  /** While true every write fails. */
  failing: boolean;
  /** Every write waits for it. */
  held: Promise<void>;
}

export function memoryTombstones(lines: readonly TombstoneLine[] = []): MemoryTombstones {
  const put = async (next: () => readonly TombstoneLine[]): Promise<void> => {
    await file.held;
    if (file.failing) throw new StoreError('unavailable', 'The disk is full.');
    file.lines = structuredClone(next());
  };
  const file: MemoryTombstones = {
    lines,
    failing: false,
    held: Promise.resolve(),
    read: async () => file.lines,
    append: (more) => put(() => [...file.lines, ...more]),
    replace: (all) => put(() => all),
    isBroken: false,
    size: 0,
    close: async () => {},
  };
  return file;
}
