import assert from 'node:assert/strict';
import { test } from 'node:test';
import { compileServerNames } from '../../../src/proxy/connection/server-names.ts';

test('exact before wildcard, the first before later ones, a wildcard for one label', () => {
  const find = compileServerNames([
    ['*.shop.test', 'shop.test'],
    ['eu.shop.test', '*.shop.test', '*.eu.shop.test'],
    ['shop.test'],
  ]);
  for (const [name, index] of [
    ['eu.shop.test', 1],
    ['us.shop.test', 0],
    ['a.eu.shop.test', 1],
    ['a.us.shop.test', -1],
    ['shop.test', 0],
    ['.shop.test', -1],
    ['*.shop.test', 0],
    ['test', -1],
    ['', -1],
  ] as const)
    assert.equal(find(name), index, name);
});
