import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { DocumentError } from '../../../src/schema/faults.ts';
import { compileRange, parseVersion, rangeFault, versionTest } from '../../../src/policy/version.ts';
import { characters } from './fixtures.ts';

const meets = (range: string, version: string): boolean => versionTest(compileRange(range))(version);

test('reads versions as applications write them', () => {
  const read = (text: string): string | undefined => parseVersion(text)?.version;
  assert.equal(read('8.2.0'), '8.2.0');
  assert.equal(read('v8.2'), '8.2.0');
  assert.equal(read('8'), '8.0.0');
  assert.equal(read('8.2.0.1234'), '8.2.0');
  assert.equal(read('08.02.00'), '8.2.0');
  assert.equal(read('8.3.0-beta.1'), '8.3.0-beta.1');
  assert.equal(read(' 8.3.0+build.7 '), '8.3.0');
  for (const junk of [
    '',
    'latest',
    '8.x',
    '8.2.0.1.2',
    '8..2',
    '.8',
    '8.2.0-',
    '8.2 beta',
    '99999999999999999999',
    '1'.repeat(200),
    '8.2.0-01',
  ]) {
    assert.equal(read(junk), undefined, junk);
  }
});

test('meets ranges', () => {
  assert.ok(meets('>=8.2.0', '8.2.0'));
  assert.ok(meets('>=8.2.0', '10.0'));
  assert.ok(!meets('>=8.2.0', '8.1.9'));
  assert.ok(meets('>=17 <18', '17.9.9'));
  assert.ok(!meets('>=17 <18', '18.0.0'));
  assert.ok(meets('^8.2.0 || >=10', '11'));
  assert.ok(!meets('>=8.2.0', 'unknown'));
});

test('a prerelease is newer than what came before it and older than its release', () => {
  assert.ok(meets('>=8.2.0', '8.3.0-beta.1'));
  assert.ok(!meets('>=8.2.0', '8.2.0-beta.1'));
});

test('answers repeat from memory', () => {
  const test = versionTest(compileRange('>=8'));
  for (let round = 0; round < 3; round++) {
    assert.equal(test('8.1'), true);
    assert.equal(test('7.1'), false);
    assert.equal(test('x'.repeat(5000)), false);
  }
});

test('tells ranges from junk, and bounds their length', () => {
  for (const range of ['>=8.2.0', '*', '1.x', '>1 <=2 || 3', '~1.2'])
    assert.equal(rangeFault(range), null, range);
  for (const junk of ['latest', '>=', '8.2.0.1', '>=8 junk'])
    assert.match(rangeFault(junk) ?? '', /is no version range; write one like/, junk);
  const long = Array.from({ length: 100 }, () => '>=8.2.0').join(' || ');
  assert.match(rangeFault(long) ?? '', /at most 256 characters/);
  for (const bad of [long, 'latest']) assert.throws(() => compileRange(bad), DocumentError);
});

test('no text makes reading or testing throw, and hostile ones take no time', () => {
  const test = versionTest(compileRange('>=8.2.0 <9 || ^10.1.0-rc.1'));
  fc.assert(
    fc.property(
      fc.oneof(
        fc.string(),
        fc.string({ unit: fc.constantFrom(...characters('0123456789.-+vx ')), maxLength: 200 }),
      ),
      (text) => {
        assert.equal(typeof test(text), 'boolean');
        rangeFault(text);
      },
    ),
    { numRuns: 5000 },
  );
  // Were it the square of the length, each would take an hour: the limit of a test file ends it then.
  for (const hostile of [
    '1'.repeat(3_000_000),
    ' '.repeat(3_000_000),
    '-.'.repeat(1_500_000),
    `1.${'0'.repeat(3_000_000)}`,
    '>'.repeat(250),
  ]) {
    test(hostile);
    rangeFault(hostile);
  }
});
