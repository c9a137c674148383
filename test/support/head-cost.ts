/** What a list of heads costs in process: CPU time, the least of several rounds, so that a busy machine changes little. */
import type { Family } from './hostile-heads.ts';
import type { RequestWork } from './request-work.ts';

/** More of short heads than a cache of user agents keeps, so that each is new to it. */
const MANY_SHORT = 9_000;
const SHORT = 1_500;

/** Heads of a family, each of about `size` bytes; of long ones `long` different ones. */
export function headsOf(make: Family['head'], size: number, long: number): Buffer[] {
  const count = make(size, 0).length < SHORT ? MANY_SHORT : long;
  return Array.from({ length: count }, (_, turn) => Buffer.from(make(size, turn), 'latin1'));
}

/** CPU microseconds for one head; a round takes at least `microseconds`. */
export function costOf(
  work: RequestWork,
  list: readonly Buffer[],
  rounds: number,
  microseconds: number,
): number {
  let least = Infinity;
  let turn = 0;
  for (let round = 0; round < rounds; round += 1) {
    const before = process.cpuUsage();
    let count = 0;
    let used = 0;
    while (used < microseconds) {
      for (let some = 0; some < 8; some += 1) work(list[turn++ % list.length] as Buffer);
      count += 8;
      const { user, system } = process.cpuUsage(before);
      used = user + system;
    }
    least = Math.min(least, used / count);
  }
  return least;
}
