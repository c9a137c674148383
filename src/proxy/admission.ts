/**
 * Admission: whether this worker may take another connection or request, asked before any work is done for it.
 *
 * Limits are those of the whole process. Far from a limit a worker compares its own count with an allowance, which it
 * renews a few times a second; near it, it adds up what all workers have, from their counters in shared memory. So a limit
 * holds whichever worker the kernel gives the connections to. It can be passed by what several workers admit in the same
 * moment, and for a moment by what was left of allowances when all that was free was taken within a quarter of a second.
 * While memory is short nothing is admitted. It never waits or queues: what is not admitted is answered at once.
 */
import type { ServiceCounters } from '../telemetry/service-counters.ts';
import type { ServiceOverload, WorkerOverload } from '../telemetry/counters.ts';
import type { WorkerCounters } from '../telemetry/worker-counters.ts';

export interface ProcessLimits {
  readonly maxConnections: number;
  readonly maxRequests: number;
}

/** With less than this free for each worker, everyone is counted. */
const COUNTED_BELOW = 64;

/** The own count below which a worker of `workers` may admit without asking, when it has `own` of `total`. */
function allowance(limit: number, workers: number, own: number, total: number): number {
  const free = (limit - total) / workers;
  return free < COUNTED_BELOW ? 0 : own + free / 2;
}

/** Admission to the process. */
export class Admission {
  /** The process uses more memory than it should. */
  short = false;
  readonly #own: WorkerCounters;
  readonly #all: readonly WorkerCounters[];
  #limits: ProcessLimits;
  #connections = 0;
  #requests = 0;

  /** `own` is among `all`, the counters of all workers. */
  constructor(own: WorkerCounters, all: readonly WorkerCounters[], limits: ProcessLimits) {
    this.#own = own;
    this.#all = all;
    this.#limits = limits;
  }

  /** Sets what holds from now on. Until `renew` is called everyone is counted. */
  configure(limits: ProcessLimits, short = this.short): void {
    this.#limits = limits;
    this.short = short;
    this.#connections = 0;
    this.#requests = 0;
  }

  shortOfMemory(short: boolean): void {
    this.configure(this.#limits, short);
  }

  /** Renews the allowances; call it a few times a second. */
  renew(): void {
    if (this.short) return;
    const { maxConnections, maxRequests } = this.#limits;
    const workers = this.#all.length;
    this.#connections = allowance(
      maxConnections,
      workers,
      this.#own.connectionsOpen,
      this.#connectionsOpen(),
    );
    this.#requests = allowance(maxRequests, workers, this.#own.requestsOpen, this.#requestsOpen());
  }

  /** Whether another connection may be opened; one that may not is counted as turned away. */
  connection(): boolean {
    if (this.#own.connectionsOpen < this.#connections) return true;
    if (this.short) return this.#turnAway('memory');
    return this.#connectionsOpen() < this.#limits.maxConnections || this.#turnAway('connections');
  }

  /** A request begins, and is open until `requestEnded` of the counters. False: it is to be turned away, and counted as such. */
  begin(): boolean {
    const admitted = this.#own.requestsOpen < this.#requests || this.#requestCounted();
    this.#own.requestBegan();
    return admitted;
  }

  #requestCounted(): boolean {
    if (this.short) return this.#turnAway('memory');
    return this.#requestsOpen() < this.#limits.maxRequests || this.#turnAway('requests');
  }

  #connectionsOpen(): number {
    let open = 0;
    for (const worker of this.#all) open += worker.connectionsOpen;
    return open;
  }

  #requestsOpen(): number {
    let open = 0;
    for (const worker of this.#all) open += worker.requestsOpen;
    return open;
  }

  #turnAway(why: WorkerOverload): false {
    this.#own.overloaded(why);
    return false;
  }
}

export interface ServiceLimits {
  readonly maxRequests: number;
  readonly maxTunnels: number;
}

/** Admission to one service. */
export class ServiceAdmission {
  readonly #own: ServiceCounters;
  readonly #all: readonly ServiceCounters[];
  readonly #limits: ServiceLimits;
  #requests = 0;

  /** `own` is among `all`, the service's counters of all workers. */
  constructor(own: ServiceCounters, all: readonly ServiceCounters[], limits: ServiceLimits) {
    this.#own = own;
    this.#all = all;
    this.#limits = limits;
  }

  /** Renews the allowance; call it a few times a second. */
  renew(): void {
    const { maxRequests } = this.#limits;
    this.#requests = allowance(maxRequests, this.#all.length, this.#own.requestsInFlight, this.#inFlight());
  }

  /** Whether another request may begin, or another tunnel; what may not is counted as turned away. */
  admits(tunnel: boolean): boolean {
    return this.#request() && (!tunnel || this.#tunnel());
  }

  #request(): boolean {
    return this.#own.requestsInFlight < this.#requests || this.#requestCounted();
  }

  /** Tunnels are few, so all are counted. */
  #tunnel(): boolean {
    let open = 0;
    for (const worker of this.#all) open += worker.tunnelsOpen;
    return open < this.#limits.maxTunnels || this.#turnAway('tunnels');
  }

  #requestCounted(): boolean {
    return this.#inFlight() < this.#limits.maxRequests || this.#turnAway('requests');
  }

  #inFlight(): number {
    let open = 0;
    for (const worker of this.#all) open += worker.requestsInFlight;
    return open;
  }

  #turnAway(why: ServiceOverload): false {
    this.#own.overloaded(why);
    return false;
  }
}
