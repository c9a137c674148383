import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import * as fc from 'fast-check';
import { changesBetween, withChanges } from '../../../src/store/document-changes.ts';

/** What the changes are after they were stored. */
const stored = (value: unknown): unknown => JSON.parse(JSON.stringify(value));

function leadsTo(former: unknown, later: unknown): void {
  const before = JSON.stringify(former);
  const made = withChanges(former, stored(changesBetween(former, later)));
  assert.equal(JSON.stringify(made), JSON.stringify(later));
  assert.equal(JSON.stringify(former), before, 'the former value stays as it was');
}

describe('the changes from one value to another', () => {
  const key = fc.constantFrom('a', 'b', 'c', '0', '1', 'constructor', 'toString', '__proto__', '');
  const json = fc.letrec((tie) => ({
    value: fc.oneof(
      { maxDepth: 4 },
      fc.constantFrom(null, true, 0, 1, -1, 0.5, '', 'x', 'é'),
      fc.array(tie('value'), { maxLength: 5 }),
      fc.array(fc.tuple(key, tie('value')), { maxLength: 5 }).map((pairs) => {
        const text = pairs.map(([name, value]) => `${JSON.stringify(name)}:${JSON.stringify(value)}`);
        return JSON.parse(`{${text.join(',')}}`) as unknown;
      }),
    ),
  })).value;

  it('lead from any value to any other, to the byte of its JSON', () => {
    fc.assert(fc.property(json, json, leadsTo), { numRuns: 2000 });
  });

  it('lead through edits of one value', () => {
    const names = fc.array(fc.integer({ min: 0, max: 30 }), { maxLength: 12 });
    const rule = fc.record({ name: fc.constantFrom('a', 'b'), percentage: fc.nat(3), cidr: names });
    fc.assert(fc.property(fc.array(rule, { maxLength: 6 }), fc.array(rule, { maxLength: 6 }), leadsTo), {
      numRuns: 1000,
    });
  });

  it('are small where little changed, and share what did not', () => {
    const cidr = Array.from({ length: 1000 }, (_, index) => `10.0.${index >> 8}.${index & 255}`);
    const former = {
      rules: [
        { name: 'a', match: { cidr }, percentage: 1 },
        { name: 'b', percentage: 5 },
      ],
    };
    const later = structuredClone(former);
    later.rules[1]!.percentage = 6;
    later.rules[0]!.match!.cidr.splice(500, 0, '10.9.9.9');
    const changes = changesBetween(former, later);
    assert.deepEqual(changes, [
      ['splice', ['rules', 0, 'match', 'cidr'], 500, 0, ['10.9.9.9']],
      ['set', ['rules', 1, 'percentage'], 6],
    ]);
    later.rules[0]!.match!.cidr = cidr;
    const made = withChanges(former, changesBetween(former, later)) as typeof former;
    assert.equal(made.rules[0], former.rules[0]);
    assert.deepEqual(changesBetween(former, structuredClone(former)), []);
  });

  it('are refused, and nothing is thrown, where they are none of this value', () => {
    const value = { a: [1, 2], b: { c: 3 } };
    for (const wrong of [
      null,
      'x',
      {},
      [null],
      [[]],
      [['set']],
      [['set', ['a']]],
      [['set', ['a', 2], 0]],
      [['set', ['a', '0'], 0]],
      [['set', ['a', -1], 0]],
      [['set', ['a', 'length'], 0]],
      [['set', ['x', 'y'], 0]],
      [['set', ['__proto__', 'y'], 0]],
      [['set', ['b', '__proto__'], {}]],
      [['set', ['b', 'c', 'd'], 0]],
      [['set', ['constructor', 'prototype', 'x'], 0]],
      [['remove', ['x']]],
      [['remove', ['a', 0]]],
      [
        ['remove', []],
        ['set', ['a'], 1],
      ],
      [['splice', ['a'], 3, 0, []]],
      [['splice', ['a'], 0, 3, []]],
      [['splice', ['a'], 0.5, 0, []]],
      [['splice', ['a'], -1, 0, []]],
      [['splice', ['b'], 0, 0, []]],
      [['splice', ['a'], 0, 0, 'x']],
      [['move', ['a'], ['b']]],
    ])
      assert.equal(withChanges(value, wrong), undefined, JSON.stringify(wrong));
    fc.assert(fc.property(json, json, (some, changes) => void withChanges(some, changes)));
    assert.deepEqual(value, { a: [1, 2], b: { c: 3 } });
    assert.equal(({} as { x?: unknown }).x, undefined);
  });
});
