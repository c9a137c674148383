/** What a scenario came to: the shape of `results.json`, from which tables, plot and regression check are made. */
import type { Spread } from './statistics.ts';

export interface LatencyOutcome {
  /** Microseconds. */
  readonly p50: number;
  readonly p99: number;
  readonly p999: number;
  /** To the reference, round by round. */
  readonly p50Ratio: Spread;
  readonly p99Ratio: Spread;
  readonly p999Ratio: Spread;
  /** Over the direct path, to the reference's over the direct path. */
  readonly addedP50Ratio: Spread;
  readonly addedP99Ratio: Spread;
  readonly failed: number;
}

export interface IdleOutcome {
  readonly connections: number;
  /** Memory of the proxy for each of them. */
  readonly bytesEach: number;
}

export interface ContenderOutcome {
  readonly title: string;
  readonly peer: string;
  /** Microseconds per request, medians over rounds. */
  readonly cpu: number;
  readonly user: number;
  readonly kernel: number;
  /** CPU per request to the reference's, round by round. */
  readonly ratio: Spread;
  readonly perSecond: number;
  readonly perSecondRatio: Spread;
  /** Share of its cores that it used; below 0.95 the load set the pace, and more requests/s may be possible. */
  readonly busy: number;
  /** Resident, after the load, with its connections open. */
  readonly memoryMiB: number;
  readonly memoryRatio: Spread;
  readonly requests: number;
  readonly failed: number;
  /** CPU per request of each round. */
  readonly rounds: readonly number[];
  readonly latency?: LatencyOutcome;
  readonly idle?: IdleOutcome;
}

export interface DirectOutcome {
  /** Requests a second that all were asked. */
  readonly rate: number;
  /** Microseconds from the generator to the origin and back, without a proxy. */
  readonly p50: number;
  readonly p99: number;
  readonly p999: number;
  /** How late the generator sent, microseconds at the 99th percentile, the worst of all rounds. */
  readonly late: number;
  /** Share of the core of generator and origin that was busy, the most of all rounds. */
  readonly loadBusy: number;
}

export interface ScenarioOutcome {
  readonly title: string;
  readonly about: string;
  readonly at: string;
  readonly quick: boolean;
  readonly rounds: number;
  readonly seconds: number;
  readonly reference: string;
  readonly contenders: Readonly<Record<string, ContenderOutcome>>;
  readonly direct?: DirectOutcome;
  /** Share of the proxy's core that something else used, the worst contender's median. */
  readonly disturbed: number;
  readonly absent: readonly string[];
}

export type Outcomes = Readonly<Record<string, ScenarioOutcome>>;
