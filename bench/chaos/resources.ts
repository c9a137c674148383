/** What a process holds, from /proc: nothing that the process says of itself. */
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';

export interface Held {
  /** Resident memory in MiB. */
  readonly memory: number;
  readonly descriptors: number;
  readonly sockets: number;
  readonly threads: number;
}

export function heldBy(pid: number): Held {
  const status = readFileSync(`/proc/${pid}/status`, 'latin1');
  const descriptors = readdirSync(`/proc/${pid}/fd`);
  const sockets = descriptors.filter((descriptor) => {
    try {
      return readlinkSync(`/proc/${pid}/fd/${descriptor}`).startsWith('socket:');
    } catch {
      return false;
    }
  });
  const figure = (name: string): number =>
    Number(new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(status)?.[1] ?? Number.NaN);
  return {
    memory: figure('VmRSS') / 1024,
    descriptors: descriptors.length,
    sockets: sockets.length,
    threads: figure('Threads'),
  };
}

/** Slope of the least-squares line through `points`, in y per x. */
export function slope(points: readonly (readonly [x: number, y: number])[]): number {
  const count = points.length;
  if (count < 2) return 0;
  const meanX = points.reduce((sum, [x]) => sum + x, 0) / count;
  const meanY = points.reduce((sum, [, y]) => sum + y, 0) / count;
  const above = points.reduce((sum, [x, y]) => sum + (x - meanX) * (y - meanY), 0);
  const below = points.reduce((sum, [x]) => sum + (x - meanX) ** 2, 0);
  return below === 0 ? 0 : above / below;
}
