/**
 * How fresh what this replica knows is, and what follows from that: for how long its workers may give the canary.
 *
 * It promises that a replica which has lost the store for `maxStaleness` gives stable to everybody, since a rollback may have passed it by,
 * until the store and it agree again.
 */
import { messageOf } from '../schema/thrown.ts';
import type { ActiveState } from '../state/active-state.ts';
import type { Logger } from '../telemetry/log.ts';
import type { Workers } from '../contract/workers.ts';

export interface StalenessOptions {
  readonly activeState: Pick<ActiveState, 'fence' | 'fenced'>;
  readonly workers: Pick<Workers, 'freshFor'>;
  /** In ms. */
  readonly maxStaleness: number;
  /** Real time in ms, also that for which this process or the machine was stopped: so old is what it knows. */
  readonly elapsed: () => number;
  /** How old the state is at the start, in ms. */
  readonly age: number;
  readonly log: Pick<Logger, 'info' | 'error'>;
}

export class Staleness {
  readonly #options: StalenessOptions;
  #inAgreement: number;
  #trouble = '';

  constructor(options: StalenessOptions) {
    const { workers, elapsed, maxStaleness, age } = options;
    this.#options = options;
    this.#inAgreement = elapsed() - age;
    workers.freshFor(maxStaleness - age);
  }

  /** How long ago the store was last in agreement with this replica, in ms. */
  get age(): number {
    return this.#options.elapsed() - this.#inAgreement;
  }

  /**
   * What the store was asked for at `since`, by `elapsed`, is what is known: its answer may have lain unread for long, where this process
   * was stopped.
   */
  agree(since: number): void {
    const { maxStaleness, workers, activeState, log } = this.#options;
    this.#inAgreement = Math.max(this.#inAgreement, since);
    const rest = maxStaleness - this.age;
    workers.freshFor(rest);
    if (rest < 0) return;
    if (this.#trouble !== '') log.info({}, 'this replica and the store agree again');
    this.#trouble = '';
    activeState.fence(false);
  }

  /** Says what is wrong once, not every second. */
  complain(error: unknown): void {
    const message = messageOf(error);
    if (message === this.#trouble) return;
    this.#trouble = message;
    this.#options.log.error(
      { err: error },
      'this replica cannot follow the store; the last policy keeps serving',
    );
  }

  /** Gives stable to everybody where it has been too long. */
  mind(): void {
    const { maxStaleness, activeState, log } = this.#options;
    const { age } = this;
    if (age <= maxStaleness || activeState.fenced) return;
    log.error(
      { 'serin.staleness_ms': Math.round(age) },
      'the store was out of reach for too long: a rollback may have passed by, so everybody gets stable until it is back',
    );
    activeState.fence(true);
  }
}
