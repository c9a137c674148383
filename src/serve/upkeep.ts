/**
 * What the main thread does again and again while it serves: it looks after its workers, its memory and the endpoints.
 *
 * Promise: each of these survives what the system may do to it, and is done again when it is due.
 */
import { every, guarded } from '../runtime/guard.ts';

const HEARTBEAT_CHECK = 1000;
/** How often breakers and health checks are looked at, in ms. */
const UPSTREAM_TICK = 250;
/** How often the memory in use is looked at, in ms. */
const MEMORY_SAMPLE = 250;
/** How long the keys of TLS session tickets are used, in ms. */
const TICKET_KEY_TIME = 12 * 3_600_000;

export interface UpkeepOptions {
  readonly pool: { checkHeartbeats(): void; rotateTicketKeys(): void };
  readonly memory: { sample(): void };
  readonly upstreams: { tick(): void };
}

/** Begins; the function that it returns ends it. */
export function startUpkeep({ pool, memory, upstreams }: UpkeepOptions): () => void {
  const timers = [
    every(
      HEARTBEAT_CHECK,
      guarded('looking at heartbeats', () => pool.checkHeartbeats()),
    ),
    every(
      MEMORY_SAMPLE,
      guarded('looking at memory', () => memory.sample()),
    ),
    every(
      UPSTREAM_TICK,
      guarded('looking at endpoints', () => upstreams.tick()),
    ),
    every(
      TICKET_KEY_TIME,
      guarded('new ticket keys', () => pool.rotateTicketKeys()),
    ),
  ];
  return () => {
    for (const timer of timers) clearInterval(timer);
  };
}
