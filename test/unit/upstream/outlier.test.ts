import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { ejectionRoom, OutlierRecord } from '../../../src/upstream/outlier.ts';
import { OUTLIER } from './support.ts';

/** Counts `failures` and `successes`, never five failures in a row. */
function count(record: OutlierRecord, failures: number, successes: number): void {
  const settings = { ...OUTLIER, consecutiveFailures: 0 };
  for (let n = 0; n < failures; n += 1) record.failure(settings);
  for (let n = 0; n < successes; n += 1) record.success();
}

test('five failures in a row are an outlier; a success between begins anew', () => {
  const record = new OutlierRecord();
  const failures = (n: number): boolean[] => Array.from({ length: n }, () => record.failure(OUTLIER));
  assert.deepEqual(failures(4), [false, false, false, false]);
  record.success();
  assert.deepEqual(failures(5), [false, false, false, false, true]);
});

test('0 in a row never ejects', () => {
  const record = new OutlierRecord();
  for (let n = 0; n < 100; n += 1)
    assert.equal(record.failure({ ...OUTLIER, consecutiveFailures: 0 }), false);
});

test('more than half of the attempts of a window are an outlier, with enough of them', () => {
  const verdict = (failures: number, successes: number): string => {
    const record = new OutlierRecord();
    record.tick(0, OUTLIER);
    count(record, failures, successes);
    assert.equal(record.tick(OUTLIER.window - 1, OUTLIER), 'same');
    return record.tick(OUTLIER.window, OUTLIER);
  };
  assert.equal(verdict(11, 9), 'outlier');
  assert.equal(verdict(10, 10), 'same');
  assert.equal(verdict(19, 0), 'same');
  assert.equal(verdict(20, 0), 'outlier');
});

test('a window forgets the one before', () => {
  const record = new OutlierRecord();
  record.tick(0, OUTLIER);
  count(record, 10, 0);
  assert.equal(record.tick(10_000, OUTLIER), 'same');
  count(record, 10, 0);
  assert.equal(record.tick(20_000, OUTLIER), 'same');
});

test('what came before the first window is no window', () => {
  const record = new OutlierRecord();
  count(record, 50, 0);
  assert.equal(record.tick(1000, OUTLIER), 'same');
});

test('the n-th ejection in a row lasts n times 30 s, at most 300 s, and good windows take from n', () => {
  const record = new OutlierRecord();
  let now = 0;
  const lengths: number[] = [];
  for (let n = 0; n < 12; n += 1) {
    record.eject(now, OUTLIER);
    lengths.push((record.ejectedUntil - now) / 1000);
    assert.equal(record.tick(record.ejectedUntil - 1, OUTLIER), 'same');
    assert.equal(record.ejected, true);
    now = record.ejectedUntil;
    assert.equal(record.tick(now, OUTLIER), 'returned');
    assert.equal(record.ejected, false);
  }
  assert.deepEqual(lengths, [30, 60, 90, 120, 150, 180, 210, 240, 270, 300, 300, 300]);
  for (let n = 0; n < 10; n += 1) record.tick((now += OUTLIER.window), OUTLIER);
  assert.equal(record.ejections, 2);
});

test('what failed before an ejection is forgotten with it', () => {
  const record = new OutlierRecord();
  for (let n = 0; n < 5; n += 1) record.failure(OUTLIER);
  record.eject(0, OUTLIER);
  record.tick(30_000, OUTLIER);
  assert.equal(record.failure(OUTLIER), false);
});

test('while it is ejected it is not ejected again', () => {
  const record = new OutlierRecord();
  record.eject(0, OUTLIER);
  for (let n = 0; n < 20; n += 1) assert.equal(record.failure(OUTLIER), false);
});

test('there is room for a share of the endpoints, and always for one, unless the share is none', () => {
  const share = fc.double({ min: 0.001, max: 1, noNaN: true });
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 10_000 }), share, (endpoints, maxEjected) => {
      const room = ejectionRoom(endpoints, { ...OUTLIER, maxEjected });
      assert.ok(room >= 1 && (room === 1 || room <= endpoints * maxEjected));
    }),
  );
  assert.equal(ejectionRoom(1, OUTLIER), 1);
  assert.equal(ejectionRoom(5, OUTLIER), 2);
  assert.equal(ejectionRoom(100, { ...OUTLIER, maxEjected: 0 }), 0);
});
