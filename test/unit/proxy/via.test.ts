/** The name of an installation in Via: the same while keys are added, another one for others, and it tells nothing of a key. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { endOfHead, makeVia } from '../../../src/proxy/exchange/via.ts';

const key = (id: string, byte: number) => ({ id, secret: Buffer.alloc(32, byte) });

test('a key that is added does not change the name, since replicas learn of it one after the other', () => {
  const { pseudonym } = makeVia([key('k1', 1)]);
  assert.match(pseudonym, /^serin-[0-9a-f]{8}$/);
  assert.equal(makeVia([key('k2', 2), key('k1', 1)]).pseudonym, pseudonym);
  assert.equal(makeVia([key('k3', 3), key('k2', 2), key('k1', 1)]).pseudonym, pseudonym);
});

test('another key is another name, whatever it is called', () => {
  assert.notEqual(makeVia([key('k1', 1)]).pseudonym, makeVia([key('k1', 2)]).pseudonym);
});

test('a head ends by the version that was received, and by the variant', () => {
  const via = makeVia([key('k1', 1)]);
  for (const [minor, http2, version] of [
    [0, false, '1.0'],
    [1, false, '1.1'],
    [1, true, '2.0'],
  ] as const) {
    for (const variant of ['stable', 'canary'] as const)
      assert.equal(
        endOfHead(via, minor, http2, variant),
        `Via: ${version} ${via.pseudonym}\r\nX-Canary: ${variant}\r\n\r\n`,
      );
  }
});
