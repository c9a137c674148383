/**
 * What the system says of memory, which it may not be able to say: reading it takes a file, and descriptors or rights may be lacking.
 *
 * Promise: where nothing can be read, what was read last holds. A limit that can't be read is not taken for none. Never throws a
 * fault of the system.
 */
import { survive } from '../runtime/guard.ts';

export interface MemorySystem {
  /** Bytes in use. May throw the system's error. */
  rss(): number;
  /** The container's limit in bytes; 0: there is none, or it can't be read. */
  constrained(): number;
  /** The machine's memory in bytes. */
  total(): number;
}

export interface MemoryReadings {
  /** Bytes in use. */
  rss(): number;
  /** The memory that this process may use: the container's, where it has a limit, else the machine's; in bytes. */
  available(): number;
}

export function createMemoryReadings(system: MemorySystem): MemoryReadings {
  let used = 0;
  let limit = 0;
  let total = Number.POSITIVE_INFINITY;
  const read = (what: string, take: () => void): void => {
    try {
      take();
    } catch (error) {
      survive(what, error);
    }
  };
  return {
    rss() {
      read('reading the memory in use', () => (used = system.rss()));
      return used;
    },
    available() {
      read('reading the memory limit', () => {
        limit = system.constrained() || limit;
        total = system.total() || total;
      });
      return limit > 0 ? Math.min(limit, total) : total;
    },
  };
}
