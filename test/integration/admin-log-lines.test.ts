/** What strangers can have logged is bounded, and the log says how much was left out. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import { startAdmin } from '../../src/admin/server.ts';
import type { Backend } from '../../src/control/api.ts';
import { createPeers } from '../../src/replication/peers.ts';
import { FleetCounters } from '../../src/telemetry/fleet-counters.ts';
import { createLog } from '../../src/telemetry/log.ts';

test('a thousand wrong tokens are ten lines, each counted all the same', async () => {
  const lines: string[] = [];
  let failures = 0;
  const sha256 = createHash('sha256').update('right').digest('hex');
  const admin = await startAdmin({
    controlPlane: { countLoginFailure: () => (failures += 1) } as unknown as Backend,
    listen: { host: '127.0.0.1', port: 0 },
    settings: () => ({ tokens: [{ name: 'ci', role: 'viewer', sha256 }] }),
    log: createLog({ level: 'warn', destination: { write: (line) => lines.push(line) } }),
  });
  for (let count = 0; count < 1000; count++) {
    const answer = await fetch(`http://127.0.0.1:${admin.port}/v1/services`, {
      headers: { authorization: `Bearer wrong${count}` },
    });
    assert.equal(answer.status, 401);
    await answer.arrayBuffer();
  }
  await admin.close();
  assert.equal(failures, 1000);
  // The thousand may take more than one minute of a slow machine.
  assert.ok(lines.length >= 10 && lines.length <= 30, `${lines.length} lines`);
});

test('messages of replicas that nobody knows are ten lines for each reason, whatever names they bear', async () => {
  const lines: string[] = [];
  let time = 0;
  const peers = await createPeers({
    listen: { host: '127.0.0.1', port: 0 },
    keys: () => [{ id: 'k1', secret: new Uint8Array(32).fill(1) }],
    self: 'here',
    onMessage: () => {},
    monotonicNow: () => time,
    log: createLog({ level: 'warn', destination: { write: (line) => lines.push(line) } }),
    counters: new FleetCounters(),
  });
  const send = async (count: number): Promise<void> => {
    const answer = await fetch(`http://127.0.0.1:${peers.port}/v1/peer`, {
      method: 'POST',
      headers: { 'serin-from': `stranger-${count}`, 'serin-to': 'here', 'serin-signature': 'x' },
      body: 'x',
    });
    assert.equal(answer.status, 401);
    await answer.arrayBuffer();
  };
  for (let count = 0; count < 200; count++) await send(count);
  assert.equal(lines.length, 10);
  time += 60_000;
  await send(200);
  await peers.close();
  assert.match(lines.at(-1)!, /"serin.suppressed_lines":190/);
});
