/**
 * What processes use, as the kernel counts it: CPU time (user and system, of all their threads, ended ones included), and
 * memory. Linux only.
 */
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';

export interface CpuTime {
  /** Microseconds. */
  readonly user: number;
  /** Microseconds. */
  readonly kernel: number;
  /** Microseconds, finer than the other two. */
  readonly total: number;
}

/** The kernel counts in ticks; their length is a constant of the system. */
const TICK = 1_000_000 / Number(execFileSync('getconf', ['CLK_TCK'], { encoding: 'utf8' }));

/** Time that the threads of a process ran, in microseconds, to the nanosecond; null where the kernel keeps none. */
function preciseTime(pid: number): number | null {
  let sum = 0;
  for (const thread of threadsOf(pid)) {
    try {
      sum += Number(readFileSync(`/proc/${pid}/task/${thread}/schedstat`, 'utf8').split(' ')[0]) / 1000;
    } catch {
      return null;
    }
  }
  return sum > 0 ? sum : null;
}

/**
 * CPU time of the processes so far: how it divides is known by the tick, its sum exactly, as long as no thread ends.
 * Throws when one of the processes is gone: a figure without it would be wrong.
 */
export function cpuTime(pids: readonly number[]): CpuTime {
  let user = 0;
  let kernel = 0;
  let total = 0;
  for (const pid of pids) {
    // proc(5): the second field is a name in parentheses and may hold anything; utime and stime are fields 14 and 15.
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    const ticks = [Number(fields[11]) * TICK, Number(fields[12]) * TICK] as const;
    user += ticks[0];
    kernel += ticks[1];
    total += preciseTime(pid) ?? ticks[0] + ticks[1];
  }
  return { user, kernel, total };
}

/** CPU time of the processes since then. Both parts are scaled to the exact total. */
export function cpuSince(before: CpuTime, pids: readonly number[]): CpuTime {
  const now = cpuTime(pids);
  const [user, kernel, total] = [
    now.user - before.user,
    now.kernel - before.kernel,
    now.total - before.total,
  ];
  const scale = user + kernel > 0 ? total / (user + kernel) : 0;
  return scale > 0
    ? { user: user * scale, kernel: kernel * scale, total }
    : { user: total, kernel: 0, total };
}

/** Resident memory of the processes, in bytes. What the kernel keeps for their sockets is not in it. */
export function residentMemory(pids: readonly number[]): number {
  return pids.reduce((sum, pid) => {
    const match = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'));
    return sum + Number(match?.[1] ?? 0) * 1024;
  }, 0);
}

/** The processes that `pid` started, directly. */
export function childrenOf(pid: number): number[] {
  return readdirSync(`/proc/${pid}/task`).flatMap((task) =>
    readFileSync(`/proc/${pid}/task/${task}/children`, 'utf8')
      .split(' ')
      .filter((text) => text.trim() !== '')
      .map(Number),
  );
}

/** The threads of a process. */
export function threadsOf(pid: number): number[] {
  return readdirSync(`/proc/${pid}/task`).map(Number);
}

/** Busy time of one core so far, whoever used it, in microseconds. */
export function coreTime(core: number): number {
  const line = readFileSync('/proc/stat', 'utf8')
    .split('\n')
    .find((text) => text.startsWith(`cpu${core} `));
  if (line === undefined) throw new Error(`there is no core ${core}`);
  // proc(5): user nice system idle iowait irq softirq steal; guest times are part of user.
  const [user, nice, system, , , irq, softirq, steal] = line.split(/\s+/).slice(1).map(Number);
  const ticks = [user, nice, system, irq, softirq, steal].reduce(
    (sum: number, count) => sum + (count ?? 0),
    0,
  );
  return ticks * TICK;
}
