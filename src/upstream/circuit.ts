/**
 * Circuit limits: how many connections, pending connections and requests one replica may have at a variant's endpoints.
 *
 * Promise: all workers together never hold more than a limit says, and what a worker held is free when it ends. Each
 * worker counts in slots of its own; who wants one more adds itself first and then sums up all slots, so of two that
 * come for the last place at least one sees both and steps back. Requests are counted only where a limit is set.
 */
import type { CircuitSettings } from '../contract/upstream-settings.ts';

const CONNECTIONS = 0;
const PENDING = 1;
const REQUESTS = 2;
const KINDS = 3;
const VARIANTS = 2;

/** Slots of the block: one per variant where those who lack a connection say so, then each worker's counts. */
export function circuitBytes(workers: number): number {
  return (VARIANTS + workers * VARIANTS * KINDS) * Int32Array.BYTES_PER_ELEMENT;
}

/** To be called by a worker before it serves: what a predecessor held is free. */
export function adoptCircuit(block: SharedArrayBuffer, worker: number): void {
  const slots = new Int32Array(block);
  for (let n = 0; n < VARIANTS * KINDS; n += 1) {
    Atomics.store(slots, VARIANTS + worker * VARIANTS * KINDS + n, 0);
  }
}

/** The limits of one variant as one worker sees them. */
export class Circuit {
  readonly #slots: Int32Array;
  readonly #own: number;
  readonly #first: number;
  readonly #variant: number;
  #wanted: number;

  /** `block` has `circuitBytes` of the number of workers; `variant` is 0 for stable, 1 for canary. */
  constructor(block: SharedArrayBuffer, worker: number, variant: 0 | 1) {
    this.#slots = new Int32Array(block);
    this.#variant = variant;
    this.#first = VARIANTS + variant * KINDS;
    this.#own = this.#first + worker * VARIANTS * KINDS;
    this.#wanted = Atomics.load(this.#slots, variant);
  }

  /** Counts a connection that is to be opened; false, and nothing is counted, where there may be no more. */
  takeConnection({ maxConnections }: CircuitSettings): boolean {
    if (this.#take(CONNECTIONS, maxConnections === 0 ? Number.POSITIVE_INFINITY : maxConnections))
      return true;
    Atomics.add(this.#slots, this.#variant, 1);
    return false;
  }

  connectionClosed(): void {
    Atomics.sub(this.#slots, this.#own + CONNECTIONS, 1);
  }

  /** Whether somebody lacked a connection since the last call: idle ones had better be closed. */
  connectionsWanted(): boolean {
    const wanted = Atomics.load(this.#slots, this.#variant);
    const news = wanted !== this.#wanted;
    this.#wanted = wanted;
    return news;
  }

  takePending({ maxPending }: CircuitSettings): boolean {
    return this.#take(PENDING, maxPending);
  }

  pendingOver(): void {
    Atomics.sub(this.#slots, this.#own + PENDING, 1);
  }

  takeRequest({ maxRequests }: CircuitSettings): boolean {
    return this.#take(REQUESTS, maxRequests);
  }

  requestOver(): void {
    Atomics.sub(this.#slots, this.#own + REQUESTS, 1);
  }

  #take(kind: number, limit: number): boolean {
    const slots = this.#slots;
    const own = this.#own + kind;
    Atomics.add(slots, own, 1);
    let sum = 0;
    for (let at = this.#first + kind; at < slots.length; at += VARIANTS * KINDS)
      sum += Atomics.load(slots, at);
    if (sum <= limit) return true;
    Atomics.sub(slots, own, 1);
    return false;
  }
}
