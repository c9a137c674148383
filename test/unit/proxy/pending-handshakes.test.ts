import assert from 'node:assert/strict';
import type { Socket } from 'node:net';
import { test } from 'node:test';
import { PendingHandshakes } from '../../../src/proxy/connection/pending-handshakes.ts';

function started(limit: number) {
  const pending = new PendingHandshakes();
  const said: string[] = [];
  const come = (name: string, deadline: number): Socket => {
    const socket = { destroy: () => said.push(`${name} closed`) } as unknown as Socket;
    pending.add(socket, deadline, limit, (why) => said.push(`${name} ${why}`));
    return socket;
  };
  return { pending, said, come };
}

test('whoever is late is sent away, and told of before the close', () => {
  const { pending, said, come } = started(9);
  come('a', 10);
  come('b', 20);
  pending.sweep(9.9);
  assert.deepEqual(said, []);
  pending.sweep(10);
  assert.deepEqual(said, ['a timeout', 'a closed']);
  assert.equal(pending.size, 1);
});

test('when there are too many the oldest goes, never the newest', () => {
  const { pending, said, come } = started(2);
  for (const name of ['a', 'b', 'c', 'd']) come(name, 10);
  assert.deepEqual(said, ['a displaced', 'a closed', 'b displaced', 'b closed']);
  assert.equal(pending.size, 2);
});

test('whoever is done is not sent away any more', () => {
  const { pending, said, come } = started(2);
  const done = come('a', 10);
  assert.equal(pending.remove(done), true);
  assert.equal(pending.remove(done), false);
  pending.sweep(100);
  assert.deepEqual(said, []);
});
