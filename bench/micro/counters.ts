/**
 * What counting costs on the request path: `node bench/micro/counters.ts`. A few seconds on one core.
 *
 * Each case counts 4,096 times, with durations spread over six decades; the figures shown are for one count.
 */
import { OUTCOMES } from '../../src/telemetry/counters.ts';
import { SERVICE_COUNTER_BYTES, ServiceCounters } from '../../src/telemetry/service-counters.ts';
import { WORKER_COUNTER_BYTES, WorkerCounters } from '../../src/telemetry/worker-counters.ts';
import { DURATION_BOUNDS, HISTOGRAM_SLOTS, observe } from '../../src/telemetry/duration-buckets.ts';
import { Histogram } from 'prom-client';

const COUNT = 4096;
const ROUNDS = 2000;

// A fixed sequence, so that runs can be compared.
let seed = 1;
const next = (): number => (seed = (seed * 48_271) % 0x7fffffff) / 0x7fffffff;
const durations = Float64Array.from({ length: COUNT }, () => 10 ** (next() * 6 - 4));
const statuses = Uint16Array.from({ length: COUNT }, () => (next() < 0.98 ? 200 : 503));

const service = new ServiceCounters(new SharedArrayBuffer(SERVICE_COUNTER_BYTES));
const worker = new WorkerCounters(new SharedArrayBuffer(WORKER_COUNTER_BYTES));
const histogram = new Float64Array(new SharedArrayBuffer(HISTOGRAM_SLOTS * 8));
const looped = new Float64Array(new SharedArrayBuffer(HISTOGRAM_SLOTS * 8));
const atomic = new BigInt64Array(new SharedArrayBuffer(8));
const peer = new Histogram({
  name: 'peer',
  help: 'prom-client itself',
  labelNames: ['service', 'variant'],
  buckets: [...DURATION_BOUNDS],
  registers: [],
}).labels('notes', 'canary');

type Case = readonly [name: string, rounds: number, run: (rounds: number) => void];

// Each case has a loop of its own: a shared one would measure calls that cannot be inlined.
const CASES: readonly Case[] = [
  [
    'one counter',
    ROUNDS,
    (rounds) => {
      for (let n = 0; n < rounds * COUNT; n++) worker.accepted();
    },
  ],
  [
    'histogram: observe',
    ROUNDS,
    (rounds) => {
      for (let n = 0; n < rounds * COUNT; n++) observe(histogram, 0, durations[n % COUNT]!);
    },
  ],
  [
    'histogram: a loop over the bounds instead',
    ROUNDS,
    (rounds) => {
      for (let n = 0; n < rounds * COUNT; n++) observeByLoop(durations[n % COUNT]!);
    },
  ],
  [
    'request: code and duration',
    ROUNDS,
    (rounds) => {
      for (let n = 0; n < rounds * COUNT; n++) {
        service.request((n & 1) as 0 | 1, statuses[n % COUNT]!, durations[n % COUNT]!);
      }
    },
  ],
  [
    'all that is counted for one request',
    ROUNDS,
    (rounds) => {
      for (let n = 0; n < rounds * COUNT; n++) {
        const variant = (n & 1) as 0 | 1;
        service.decision(n & 7, n & 3);
        service.inFlight(variant, 1);
        service.inFlight(variant, -1);
        service.upstreamResult(variant, n % OUTCOMES.length, durations[n % COUNT]!);
        service.request(variant, statuses[n % COUNT]!, durations[n % COUNT]!);
      }
    },
  ],
  [
    'for comparison: Atomics.add',
    ROUNDS / 10,
    (rounds) => {
      for (let n = 0; n < rounds * COUNT; n++) Atomics.add(atomic, 0, 1n);
    },
  ],
  [
    'for comparison: prom-client, observe of a child',
    ROUNDS / 40,
    (rounds) => {
      for (let n = 0; n < rounds * COUNT; n++) peer.observe(durations[n % COUNT]!);
    },
  ],
];

function observeByLoop(seconds: number): void {
  let bucket = 0;
  while (bucket < DURATION_BOUNDS.length && seconds > DURATION_BOUNDS[bucket]!) bucket++;
  looped[bucket]!++;
  looped[HISTOGRAM_SLOTS - 1]! += seconds;
}

for (const [name, rounds, run] of CASES) {
  run(Math.ceil(rounds / 5));
  let best = Infinity;
  for (let repeat = 0; repeat < 5; repeat++) {
    const start = performance.now();
    run(rounds);
    best = Math.min(best, ((performance.now() - start) / (rounds * COUNT)) * 1e6);
  }
  process.stdout.write(`${best.toFixed(1).padStart(8)} ns  ${name}\n`);
}
