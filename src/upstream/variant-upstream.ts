/**
 * The endpoints of one variant as one worker uses them: which of them may be picked, what becomes of those that fail, and
 * what may be retried.
 *
 * Promises: at most the allowed share of the endpoints is ejected at a time; a variant with an endpoint in good
 * standing uses no other, but for stable's panic (few are in good standing: better all than an overload of the rest). Whatever costs
 * more than a few operations happens in `tick`, four times a second, or when an endpoint fails.
 */
import type { Circuit } from './circuit.ts';
import type { Endpoint } from './endpoint.ts';
import { ejectionRoom } from './outlier.ts';
import { EMPTY_PICTURE, makePicture, pick, type Picture, pickUntried } from './picker.ts';
import { RetryBudget } from './retry-budget.ts';
import type { CircuitSettings, UpstreamSettings } from '../contract/upstream-settings.ts';
import { HEALTH, LOAD, LOAD_FIELDS } from './shared-blocks.ts';

export interface VariantUpstreamOptions {
  readonly endpoints: readonly Endpoint[];
  readonly settings: UpstreamSettings;
  readonly limits: CircuitSettings;
  readonly circuit: Circuit;
  /** All endpoints are used when too few are in good standing. */
  readonly panics: boolean;
  /** Where the main thread writes what health checks say: one byte an endpoint. */
  readonly health: Uint8Array;
  /** Where this worker writes what it knows: LOAD_FIELDS an endpoint. */
  readonly loads: Float64Array;
  /** Whose budget and what else is worth keeping goes on here; null at first. */
  readonly before: VariantUpstream | null;
}

export class VariantUpstream {
  readonly endpoints: readonly Endpoint[];
  readonly settings: UpstreamSettings;
  readonly limits: CircuitSettings;
  readonly circuit: Circuit;
  /** Whether requests have to be counted against a limit. */
  readonly limitsRequests: boolean;
  readonly limitsPending: boolean;
  readonly budget: RetryBudget;
  /** Swapped whole when an endpoint comes, goes, fails or returns. */
  picture: Picture = EMPTY_PICTURE;
  /** Whether an endpoint in good standing is there. */
  usable = false;
  readonly #panics: boolean;
  readonly #health: Uint8Array;
  readonly #loads: Float64Array;
  /** The picture's weights are those for good. */
  #settled = true;
  #tickedAt = 0;

  constructor(options: VariantUpstreamOptions, now: number) {
    const { endpoints, settings, limits, circuit, before } = options;
    this.endpoints = endpoints;
    this.settings = settings;
    this.limits = limits;
    this.circuit = circuit;
    this.limitsRequests = limits.maxRequests > 0;
    this.limitsPending = limits.maxPending > 0;
    this.budget = before?.budget ?? new RetryBudget();
    this.#panics = options.panics;
    this.#health = options.health;
    this.#loads = options.loads;
    this.#tickedAt = now;
    for (const endpoint of endpoints) endpoint.circuit = circuit;
    this.#readHealth(now);
    this.#assumeLatencies();
    this.refresh(now);
  }

  /** The endpoint for the next attempt of a request that has been to those in `tried`, or null. */
  pick(tried: readonly Endpoint[], random: () => number): Endpoint | null {
    if (tried.length === 0) return pick(this.picture, random);
    const next = pickUntried(this.picture.endpoints, tried, random);
    // Stable has nothing better than what is left of it.
    return next === null && this.#panics ? pickUntried(this.endpoints, tried, random) : next;
  }

  /** Whether there is one left for a request that has been to those in `tried`. */
  hasOther(tried: readonly Endpoint[]): boolean {
    const left = (endpoint: Endpoint): boolean => !tried.includes(endpoint);
    return (
      this.picture.endpoints.some(left) || (this.#panics && tried.length > 0 && this.endpoints.some(left))
    );
  }

  /** An endpoint did not accept a connection: it is left alone for a moment. */
  refused(endpoint: Endpoint, now: number): void {
    endpoint.markDown(now);
    this.refresh(now);
  }

  /** A connection to an endpoint opened. */
  connected(endpoint: Endpoint, now: number): void {
    if (endpoint.downUntil === 0) return;
    endpoint.markUp();
    this.refresh(now);
  }

  /** An attempt failed; true where the endpoint is ejected for it. */
  failed(endpoint: Endpoint, now: number): boolean {
    return endpoint.outlier.failure(this.settings.outlier) && this.#eject(endpoint, now);
  }

  #eject(endpoint: Endpoint, now: number): boolean {
    let ejected = 0;
    for (const { outlier } of this.endpoints) if (outlier.ejected) ejected += 1;
    if (ejected >= ejectionRoom(this.endpoints.length, this.settings.outlier)) return false;
    endpoint.outlier.eject(now, this.settings.outlier);
    this.refresh(now);
    return true;
  }

  /**
   * Four times a second. Returns how many endpoints were ejected for what the last window says. `realNow`: where `now` is an awake
   * clock, the one beneath it, by which endpoints close idle connections.
   */
  tick(now: number, realNow = now): number {
    const { balance, outlier } = this.settings;
    const elapsed = now - this.#tickedAt;
    this.#tickedAt = now;
    this.budget.tick(now);
    const makeRoom = this.circuit.connectionsWanted();
    const kept = Math.exp(-elapsed / balance.latencyDecay);
    let ejections = 0;
    for (const endpoint of this.endpoints) {
      if (makeRoom) endpoint.closeIdle();
      else endpoint.closeExpired(realNow);
      if (endpoint.observedAt < now - elapsed) endpoint.forgetLatency(kept);
      switch (endpoint.outlier.tick(now, outlier)) {
        case 'returned':
          endpoint.usedSince = now;
          break;
        case 'outlier':
          if (this.#eject(endpoint, now)) ejections += 1;
          break;
        case 'same':
          break;
      }
    }
    this.#readHealth(now);
    this.#assumeLatencies();
    this.refresh(now);
    this.#report(now);
    return ejections;
  }

  /** Makes the picture anew where it is not the one of this moment. */
  refresh(now: number): void {
    const { endpoints } = this;
    const uses = this.#choose(now);
    if (this.#settled) {
      const former = this.picture.endpoints;
      let at = 0;
      let same = true;
      for (const endpoint of endpoints) {
        if (!uses(endpoint, now)) continue;
        same &&= former[at] === endpoint;
        at += 1;
      }
      if (same && at === former.length) return;
    }
    const use = endpoints.filter((endpoint) => uses(endpoint, now));
    const { picture, settled } = makePicture(use, now, this.settings.balance.slowStart);
    this.picture = picture;
    this.#settled = settled;
  }

  /** Which endpoints may be picked: those in good standing that are up, but for stable's panic. */
  #choose(now: number): (endpoint: Endpoint, now: number) => boolean {
    const { endpoints } = this;
    let standing = 0;
    let up = 0;
    let good = 0;
    for (const endpoint of endpoints) {
      if (isUp(endpoint, now)) up += 1;
      if (!stands(endpoint)) continue;
      standing += 1;
      if (isUp(endpoint, now)) good += 1;
    }
    this.usable = good > 0;
    if (!this.#panics) return isGood;
    // To refuse connections is a fact, not an opinion: panic does not change it while there is another endpoint.
    const panic = standing < endpoints.length * this.settings.outlier.panicBelow;
    if (panic ? up > 0 : good > 0) return panic ? isUp : isGood;
    return standing > 0 ? stands : () => true;
  }

  #readHealth(now: number): void {
    const { endpoints } = this;
    for (let index = 0; index < endpoints.length; index += 1) {
      const endpoint = endpoints[index]!;
      const health = HEALTH[this.#health[index]!] ?? 'unknown';
      if (health === endpoint.health) continue;
      if (endpoint.health === 'unhealthy') endpoint.usedSince = now;
      endpoint.health = health;
    }
  }

  /** What nothing is known of is taken to be like its siblings. */
  #assumeLatencies(): void {
    let sum = 0;
    let known = 0;
    for (const { observedAt, latency } of this.endpoints) {
      if (observedAt === 0) continue;
      sum += latency;
      known += 1;
    }
    if (known === 0 || known === this.endpoints.length) return;
    for (const endpoint of this.endpoints) if (endpoint.observedAt === 0) endpoint.latency = sum / known;
  }

  #report(now: number): void {
    const loads = this.#loads;
    let at = 0;
    for (const endpoint of this.endpoints) {
      loads[at + LOAD.inFlight] = endpoint.inFlight;
      loads[at + LOAD.connections] = endpoint.connections;
      loads[at + LOAD.latency] = endpoint.observedAt === 0 ? -1 : endpoint.latency;
      loads[at + LOAD.down] = endpoint.isUp(now) ? 0 : 1;
      loads[at + LOAD.ejectedFor] = Math.max(0, endpoint.outlier.ejectedUntil - now);
      at += LOAD_FIELDS;
    }
  }
}

const stands = ({ outlier, health }: Endpoint): boolean => !outlier.ejected && health !== 'unhealthy';
const isUp = (endpoint: Endpoint, now: number): boolean => endpoint.isUp(now);
const isGood = (endpoint: Endpoint, now: number): boolean => stands(endpoint) && endpoint.isUp(now);
