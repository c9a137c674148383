/** Bytes of bodies that nobody has vouched for yet: who is fast is not kept out by who is slow. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createBodyBudget, type ReceivedBody } from '../../../src/replication/body-budget.ts';

test('only what has come counts, and the oldest of the address that holds most is cut', () => {
  const budget = createBodyBudget(100, 60);
  const cut: string[] = [];
  const begin = (address: string, name: string): ReceivedBody => budget.begin(address, () => cut.push(name));
  // A thousand that only announce a body hold nothing.
  for (let count = 0; count < 1000; count++) begin('a', 'announced');
  const [one, two, three] = [begin('a', 'one'), begin('a', 'two'), begin('b', 'three')];
  one.add(30);
  two.add(30);
  three.add(40);
  assert.deepEqual(cut, []);
  begin('c', 'four').add(1);
  assert.deepEqual([cut, one.cut, two.cut], [['one'], true, false]);
  three.add(20);
  assert.deepEqual(cut, ['one']);
  three.add(1);
  assert.deepEqual(cut, ['one', 'three'], 'one address has its share of the budget');
  two.end();
  begin('c', 'five').add(50);
  assert.deepEqual(cut, ['one', 'three']);
});
