/** A bounded run of the fuzzer between HTTP/2 and HTTP/1.1, the same one each time. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { runHttp2Session } from './http2-session.ts';

const EXECUTIONS = 60_000;

test('whatever HTTP/2 sends, the other side reads as that one message, or it is refused or cut', (t) => {
  const { executions, ends, withTrailers, findings } = runHttp2Session(20_250_101, EXECUTIONS);
  t.diagnostic(`${executions} messages: ${JSON.stringify(ends)}, ${withTrailers} whole with trailers`);
  assert.deepEqual(findings, []);
  // Otherwise nothing was tried: messages that are all refused, or all good, show little.
  for (const kind of ['request', 'answer']) {
    for (const [end, least] of [
      ['whole', 0.2],
      ['cut', 0.01],
      ['refused', 0.1],
    ] as const) {
      const count = ends[`${kind} ${end}`] ?? 0;
      assert.ok(count > EXECUTIONS * least, `${count} of kind ${kind} ended ${end}`);
    }
  }
  assert.ok(withTrailers > EXECUTIONS / 30, `${withTrailers} with trailers`);
});
