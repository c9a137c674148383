import { test } from 'node:test';
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { createExposition } from '../../../src/telemetry/exposition.ts';
import { within } from '../../support/bounded.ts';
import { fakeSource, type FakeSource } from './fake-source.ts';
import { parseExposition, type ParsedFamily } from './parse-exposition.ts';
import type { WriterData } from './counter-writer.ts';

const source = fakeSource(1, ['notes']);
const exposition = createExposition(source);

test('what is read while a worker writes is consistent, never falls, and is exact in the end', async () => {
  let last = new Map<string, number>();
  const totals = { requests: 0, sum: 0 };
  // Twice: the second writer stands for the replacement of a worker that ended.
  for (let generation = 0; generation < 2; generation++) {
    const { running, stop } = startWriter(source);
    try {
      await within(running, 'the writer runs');
      for (let scrape = 0; scrape < 40; scrape++) {
        const families = parseExposition(await exposition.render());
        for (const family of families.values()) checkHistogram(family);
        last = checkMonotone(last, families);
      }
    } finally {
      const { requests, sum } = await stop();
      totals.requests += requests;
      totals.sum += sum;
    }
  }
  const { serin_requests_total: byCode, serin_request_duration_seconds: durations } = Object.fromEntries(
    parseExposition(await exposition.render()),
  );
  assert.ok(totals.requests > 1000);
  assert.equal(sumOf(byCode!, 'serin_requests_total'), totals.requests);
  assert.equal(sumOf(durations!, 'serin_request_duration_seconds_count'), totals.requests);
  assert.equal(sumOf(durations!, 'serin_request_duration_seconds_sum'), totals.sum);
});

/** Cumulative buckets never fall, and the last equals the count. */
function checkHistogram({ name, type, series }: ParsedFamily): void {
  if (type !== 'histogram' || !name.startsWith('serin_')) return;
  const buckets = new Map<string, [le: number, count: number][]>();
  for (const [key, value] of series) {
    const match = /le="([^"]+)",?/.exec(key);
    if (match === null) continue;
    const of = key.replace(match[0], '').replace(',}', '}').replace('{}', '').replace('_bucket', '_count');
    const le = match[1] === '+Inf' ? Infinity : Number(match[1]);
    buckets.set(of, [...(buckets.get(of) ?? []), [le, value]]);
  }
  assert.ok(buckets.size > 0, name);
  for (const [count, list] of buckets) {
    list.sort(([a], [b]) => a - b);
    list.reduce((before, [le, value]) => {
      assert.ok(value >= before, `${count} at le=${le}: ${value} after ${before}`);
      return value;
    }, 0);
    assert.equal(list.at(-1)?.[1], series.get(count), count);
  }
}

function checkMonotone(
  before: Map<string, number>,
  families: Map<string, ParsedFamily>,
): Map<string, number> {
  const now = new Map<string, number>();
  for (const { name, type, series } of families.values()) {
    if (type === 'gauge' || !name.startsWith('serin_')) continue;
    for (const [key, value] of series) {
      assert.ok(value >= (before.get(key) ?? 0), `${key} fell to ${value}`);
      now.set(key, value);
    }
  }
  return now;
}

function sumOf({ series }: ParsedFamily, metric: string): number {
  let sum = 0;
  for (const [key, value] of series) if (key.startsWith(`${metric}{`)) sum += value;
  return sum;
}

function startWriter({ workerList, serviceList }: FakeSource): {
  running: Promise<unknown>;
  stop: () => Promise<{ requests: number; sum: number }>;
} {
  const control = new SharedArrayBuffer(8);
  const flags = new Int32Array(control);
  const workerData: WriterData = {
    worker: workerList[0]!.counters.slots.buffer as SharedArrayBuffer,
    service: serviceList[0]!.blocks[0]!.slots.buffer as SharedArrayBuffer,
    control,
  };
  const worker = new Worker(new URL('./counter-writer.ts', import.meta.url), { workerData });
  const ended = once(worker, 'message') as Promise<[{ requests: number; sum: number }]>;
  return {
    running: Promise.resolve(Atomics.waitAsync(flags, 0, 0).value),
    stop: async () => {
      Atomics.store(flags, 1, 1);
      const [totals] = await within(ended, 'the writer stops');
      await worker.terminate();
      return totals;
    },
  };
}
