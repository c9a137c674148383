/**
 * Watches how much memory the process uses, and says when it is too much for more work.
 *
 * The main thread asks the system for the resident set: heaps are limited by themselves, but the buffers of connections
 * are in no heap. It has to fall well below the mark before work is taken again, so that a process at its limit does not
 * go to and fro between two samples.
 *
 * What a process has once used does not all go back to the system: allocators keep it for the next time. Where nothing is held
 * for clients any more and use has still not fallen, refusing work can't bring it down, and would go on for ever; then the
 * mark is raised above what stays, until use falls by itself.
 */

/** Work is taken again below this part of the high-water mark. */
const LOW_WATER = 0.9;

/** While no more than this is held for clients, refusing work frees nothing, in bytes. */
const HELD_LITTLE = 1024 * 1024;

/** How long that has to last before the mark is raised, in ms: garbage is collected several times meanwhile. */
const SETTLE_TIME = 30_000;

/** The raised mark, as a multiple of what stays in use. */
const RAISE = 1.1;

/** Of the memory that there is, what a process may use where nothing is configured. */
const AUTO_SHARE = 0.9;

export type MemoryLimit = number | 'auto' | 'off';

export interface MemoryWatchOptions {
  /** Bytes in use. */
  readonly rss: () => number;
  /** Bytes that the process may use before it is killed. */
  readonly available: () => number;
  readonly limit: () => MemoryLimit;
  /** Bytes that wait in buffers for clients and endpoints. */
  readonly held: () => number;
  /** Monotonic, in ms. */
  readonly monotonicNow: () => number;
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

export function createMemoryWatch(options: MemoryWatchOptions): MemoryWatch {
  const { rss, available, limit, held, monotonicNow, apply, log } = options;
  let short = false;
  let shortages = 0;
  /** Above what stayed in use without work; 0: nothing did. */
  let raised = 0;
  /** Since when little is held. */
  let quietSince = 0;
  const configured = (): number => {
    const set = limit();
    if (set === 'off') return Number.POSITIVE_INFINITY;
    return set === 'auto' ? Math.floor(available() * AUTO_SHARE) : set;
  };
  const become = (next: boolean, used: number, mark: number): object => {
    short = next;
    apply(next);
    return { 'process.memory.usage': used, 'serin.memory.high_water': mark };
  };
  return {
    sample() {
      const used = rss();
      if (used < configured() * LOW_WATER) raised = 0;
      const mark = Math.max(configured(), raised);
      if (!short) {
        if (used <= mark) return;
        shortages += 1;
        quietSince = monotonicNow();
        log.warn(
          become(true, used, mark),
          'memory is short: new connections and requests are refused, idle connections closed',
        );
        return;
      }
      if (used < mark * LOW_WATER) {
        log.info(become(false, used, mark), 'memory suffices again: connections and requests are taken');
      } else if (held() > HELD_LITTLE) {
        quietSince = monotonicNow();
      } else if (monotonicNow() - quietSince >= SETTLE_TIME) {
        raised = Math.ceil(used * RAISE);
        log.warn(
          become(false, used, raised),
          'memory stays in use without work: the mark is raised, connections and requests are taken',
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
      return Math.max(configured(), raised);
    },
  };
}
