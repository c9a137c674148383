/**
 * One thing at a time: writes wait for those before them, so that each sees what the last one left.
 *
 * It promises order, save that an urgent task goes before all that have not begun, and that a failed task holds up none.
 */

export interface WriteQueue {
  /** Runs `task` when its turn comes; settles as it does. */
  run<T>(task: () => Promise<T>, urgent?: boolean): Promise<T>;
  /** Resolves when nothing is under way or waiting. */
  idle(): Promise<void>;
}

export function createWriteQueue(): WriteQueue {
  const waiting: (() => Promise<void>)[] = [];
  let working: Promise<void> | null = null;

  async function work(): Promise<void> {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) await next();
    working = null;
  }

  return {
    run(task, urgent = false) {
      return new Promise((resolve, reject) => {
        const step = async (): Promise<void> => {
          try {
            resolve(await task());
          } catch (error) {
            reject(error instanceof Error ? error : new Error(String(error)));
          }
        };
        if (urgent) waiting.unshift(step);
        else waiting.push(step);
        working ??= work();
      });
    },
    async idle() {
      for (let current = working; current !== null; current = working) await current;
    },
  };
}
