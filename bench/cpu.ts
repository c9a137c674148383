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
}

/** The kernel counts in ticks; their length is a constant of the system. */
const TICK = 1_000_000 / Number(execFileSync('getconf', ['CLK_TCK'], { encoding: 'utf8' }));

/** CPU time of the processes so far. Throws when one of them is gone: a figure without it would be wrong. */
export function cpuTime(pids: readonly number[]): CpuTime {
  let user = 0;
  let kernel = 0;
  for (const pid of pids) {
    // proc(5): the second field is a name in parentheses and may hold anything; utime and stime are fields 14 and 15.
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    user += Number(fields[11]) * TICK;
    kernel += Number(fields[12]) * TICK;
  }
  return { user, kernel };
}

export function cpuSince(before: CpuTime, pids: readonly number[]): CpuTime {
  const now = cpuTime(pids);
  return { user: now.user - before.user, kernel: now.kernel - before.kernel };
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
