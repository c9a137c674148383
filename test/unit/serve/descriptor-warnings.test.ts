/** When it is said that descriptors leave less than is configured. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createLimitNotes } from '../../../src/serve/descriptor-warnings.ts';
import { planDescriptors } from '../../../src/runtime/descriptors.ts';

test('a warning for what is configured, a note for defaults, nothing twice, nothing where it is enough', () => {
  const lines: string[] = [];
  let configured = { maxConnections: 500, maxRequests: 500 };
  const tell = createLimitNotes({
    descriptors: 3000,
    limits: () => planDescriptors(3000, 2, configured),
    log: {
      warn: (_, message) => void lines.push(`warn ${message}`),
      info: (_, message) => void lines.push(`info ${message}`),
    },
  });
  tell(configured, true);
  assert.deepEqual(lines, []);
  configured = { maxConnections: 65_536, maxRequests: 65_536 };
  tell(configured, false);
  tell(configured, false);
  assert.equal(lines.length, 1);
  assert.match(lines[0]!, /^info the limit on open files \(3000\) leaves 1070 connections and 1070 requests/);
  configured = { maxConnections: 5000, maxRequests: 65_536 };
  tell(configured, true);
  assert.match(lines[1]!, /^warn .*5000 and 65536 would be as configured\. Raise the limit \(LimitNOFILE/);
  configured = { maxConnections: 500, maxRequests: 500 };
  tell(configured, true);
  configured = { maxConnections: 5000, maxRequests: 65_536 };
  tell(configured, true);
  assert.equal(lines.length, 3);
});
