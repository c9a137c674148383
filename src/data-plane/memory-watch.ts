/**
 * Watches how much memory the process uses, and says when it is too much for more work.
 *
 * The main thread asks the system for the resident set: heaps are limited by themselves, but the buffers of connections
 * are in no heap. It has to fall well below the mark before work is taken again, so that a process at its limit does not
 * go to and fro between two samples.
 */

/** Work is taken again below this part of the high-water mark. */
const LOW_WATER = 0.9;

/** Of the memory that there is, what a process may use where nothing is configured. */
const AUTO_SHARE = 0.9;

export type MemoryLimit = number | 'auto' | 'off';

export interface MemoryWatchOptions {
  /** Bytes in use. */
  readonly rss: () => number;
  /** Bytes that the process may use before it is killed. */
  readonly available: () => number;
  readonly limit: () => MemoryLimit;
  /** Tells the workers. */
  readonly apply: (short: boolean) => void;
  readonly log: {
    warn(fields: object, message: string): void;
    info(fields: object, message: string): void;
  };
}

export interface MemoryWatch {
  /** Call it a few times a second. */
  sample(): void;
  readonly short: boolean;
  /** Times that memory became short. */
  readonly shortages: number;
  /** Bytes; Infinity where there is no mark. */
  readonly highWater: number;
}

export function createMemoryWatch({ rss, available, limit, apply, log }: MemoryWatchOptions): MemoryWatch {
  let short = false;
  let shortages = 0;
  const highWater = (): number => {
    const set = limit();
    if (set === 'off') return Number.POSITIVE_INFINITY;
    return set === 'auto' ? Math.floor(available() * AUTO_SHARE) : set;
  };
  return {
    sample() {
      const used = rss();
      const mark = highWater();
      if (!short && used > mark) {
        short = true;
        shortages += 1;
        apply(true);
        log.warn(
          { 'process.memory.usage': used, 'serin.memory.high_water': mark },
          'memory is short: new connections and requests are refused, idle connections closed',
        );
      } else if (short && used < mark * LOW_WATER) {
        short = false;
        apply(false);
        log.info(
          { 'process.memory.usage': used, 'serin.memory.high_water': mark },
          'memory suffices again: connections and requests are taken',
        );
      }
    },
    get short() {
      return short;
    },
    get shortages() {
      return shortages;
    },
    get highWater() {
      return highWater();
    },
  };
}

/** The memory that this process may use: the container's, where it has a limit, else the machine's. */
export function availableMemory(constrained: number, total: number): number {
  return constrained > 0 ? Math.min(constrained, total) : total;
}
