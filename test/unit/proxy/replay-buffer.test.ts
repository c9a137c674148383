/** What is kept of a body for another endpoint: all of it or nothing, and never more than its bound. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { REPLAY_LIMIT, ReplayBuffer } from '../../../src/proxy/exchange/replay-buffer.ts';

function sent(buffer: ReplayBuffer): string {
  let text = '';
  buffer.sendTo({ writeBytes: (bytes, start, end) => void (text += bytes.latin1Slice(start, end)) });
  return text;
}

function add(buffer: ReplayBuffer, text: string): void {
  const bytes = Buffer.from(`#${text}#`, 'latin1');
  buffer.add(bytes, 1, bytes.length - 1);
  bytes.fill('!');
}

test('pieces are kept as they came, and sent as often as there are endpoints', () => {
  const buffer = new ReplayBuffer();
  buffer.begin(true);
  add(buffer, 'ab');
  add(buffer, 'c'.repeat(3000));
  assert.equal(sent(buffer), `ab${'c'.repeat(3000)}`);
  add(buffer, 'd');
  assert.equal(sent(buffer), `ab${'c'.repeat(3000)}d`);
  assert.equal(buffer.complete, true);
});

test('where a request may not be delivered twice nothing is kept', () => {
  const buffer = new ReplayBuffer();
  buffer.begin(false);
  assert.equal(buffer.complete, true, 'nothing was taken yet');
  add(buffer, 'ab');
  assert.deepEqual([buffer.complete, buffer.size, sent(buffer)], [false, 0, '']);
});

test('a body that outgrows the bound is not kept at all', () => {
  const buffer = new ReplayBuffer();
  buffer.begin(true);
  add(buffer, 'x'.repeat(REPLAY_LIMIT));
  assert.deepEqual([buffer.complete, buffer.size], [true, REPLAY_LIMIT]);
  add(buffer, 'x');
  assert.deepEqual([buffer.complete, buffer.size, buffer.length], [false, 0, 0]);
});

test('a body that comes byte by byte costs memory in proportion to its length', () => {
  const buffer = new ReplayBuffer();
  buffer.begin(true);
  for (let count = 0; count < 5000; count += 1) add(buffer, 'x');
  assert.equal(buffer.size, 8192);
});

test('when the answer begins it goes, and the next request begins anew', () => {
  const buffer = new ReplayBuffer();
  buffer.begin(true);
  add(buffer, 'ab');
  buffer.stop();
  assert.deepEqual([buffer.complete, buffer.size], [false, 0]);
  add(buffer, 'cd');
  assert.equal(buffer.size, 0);
  buffer.begin(true);
  assert.equal(buffer.complete, true);
  add(buffer, 'ef');
  assert.equal(sent(buffer), 'ef');
});
