/** The application behind the proxies: stable and canary on two ports of one process, on the load's core. */
import { freePort } from '../../test/support/ports.ts';
import { LOAD_CORE, listening, pinned, start, stop } from '../process.ts';

export interface Origins {
  readonly stable: number;
  readonly canary: number;
  readonly pid: number;
  stop(): Promise<void>;
}

/** Starts `program` (`bench/load/origin.c`), which says in its first comment what it answers. */
export async function startOrigins(program: string): Promise<Origins> {
  const [stable, canary] = [await freePort(), await freePort()];
  const started = start(pinned(LOAD_CORE, [program, String(stable), String(canary)]));
  await listening(stable, started);
  await listening(canary, started);
  return { stable, canary, pid: started.child.pid as number, stop: () => stop(started.child) };
}
