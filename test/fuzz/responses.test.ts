/** A bounded run of the differential fuzzer over responses, the same one each time. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { runSession } from './session.ts';

const EXECUTIONS = 60_000;

test('whatever responses the codec accepts, llhttp reads alike', (t) => {
  const result = runSession('response', 20_250_101, EXECUTIONS);
  t.diagnostic(`${result.executions} inputs, ${result.heads} heads, ${result.complete} messages`);
  assert.deepEqual(result.findings, []);
  // Otherwise nothing was tried: inputs that are all refused, or all good, show little.
  assert.ok(result.heads > EXECUTIONS / 3, `${result.heads} heads accepted`);
  assert.ok(result.states.size > 20, `stopped for only ${[...result.states.keys()].join(', ')}`);
});
