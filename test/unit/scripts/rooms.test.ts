/** Imports run downwards through the rooms of ARCHITECTURE.md, and the linter knows the same list. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { circles, imports, roomOf, rooms, roomsOf } from '../../../scripts/rooms.ts';

const { listed, is, shouldBe } = rooms();
const edges = imports();

test('the list of rooms in ARCHITECTURE.md names every folder of src/', () => {
  const folders = new Set(edges.map(({ from }) => roomOf(from)).filter((room) => room !== ''));
  assert.deepEqual(listed.toSorted(), [...folders].toSorted());
});

test('no room imports one that stands above it', () => {
  const upwards = edges.filter(({ from, to }) => {
    const target = roomOf(to);
    return to.startsWith('src/') && target !== '' && listed.indexOf(target) < listed.indexOf(roomOf(from));
  });
  assert.deepEqual(upwards, []);
});

test('no files import each other in a circle, types included', () => {
  assert.deepEqual(circles(edges), []);
});

test('the linter has its rule from that list', () => {
  assert.deepEqual(JSON.parse(is), JSON.parse(shouldBe), 'run: node scripts/rooms.ts');
});

test('a circle is found, and what merely leads to it is not part of it', () => {
  const found = circles([
    { from: 'a', to: 'b' },
    { from: 'b', to: 'c' },
    { from: 'c', to: 'b' },
  ]);
  assert.deepEqual(found, [['b', 'c']]);
});

test('the rooms of a document are those below its heading', () => {
  assert.deepEqual(
    roomsOf('# A\n## Rooms\n\ntext\n\n```\ntop/  above\nlow/  below\n```\n\n```\nx/ y\n```\n'),
    ['top', 'low'],
  );
});
