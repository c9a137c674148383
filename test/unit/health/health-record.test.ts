import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { variantSnapshot } from '../../../src/config/variant.ts';
import { HealthRecord } from '../../../src/health/health-record.ts';

const SETTINGS = variantSnapshot({ healthCheck: { path: '/' } }).healthCheck!;

test('the first result decides at once', () => {
  for (const [good, verdict] of [
    [true, 'healthy'],
    [false, 'unhealthy'],
  ] as const) {
    const record = new HealthRecord();
    assert.equal(record.verdict, 'unknown');
    assert.equal(record.result(good, SETTINGS), true);
    assert.equal(record.verdict, verdict);
    assert.equal(record.result(good, SETTINGS), false);
  }
});

test('then it takes three bad ones in a row, and two good ones', () => {
  const record = new HealthRecord();
  const verdicts = [true, false, false, true, false, false, false, true, false, true, true].map((good) => {
    record.result(good, SETTINGS);
    return record.verdict === 'healthy';
  });
  assert.deepEqual(verdicts, [true, true, true, true, true, true, false, false, false, false, true]);
});

test('a verdict changes only with as many results in a row as the threshold says', () => {
  fc.assert(
    fc.property(
      fc.array(fc.boolean(), { maxLength: 60 }),
      fc.integer({ min: 1, max: 5 }),
      fc.integer({ min: 1, max: 5 }),
      (results, healthyThreshold, unhealthyThreshold) => {
        const settings = { ...SETTINGS, healthyThreshold, unhealthyThreshold };
        const record = new HealthRecord();
        for (const [index, good] of results.entries()) {
          const before = record.verdict;
          const changed = record.result(good, settings);
          assert.equal(changed, record.verdict !== before);
          const needed = index === 0 ? 1 : good ? healthyThreshold : unhealthyThreshold;
          const last = results.slice(Math.max(0, index + 1 - needed), index + 1);
          const alike = last.length === needed && last.every((one) => one === good);
          if (changed) assert.ok(alike);
          if (alike) assert.equal(record.verdict, good ? 'healthy' : 'unhealthy');
        }
      },
    ),
  );
});
