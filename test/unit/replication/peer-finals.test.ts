/** What replicas tell each other of how changes ended: all of it, in its order, and nothing that is no end. */
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { type PeerMessage, readBody } from '../../../src/replication/peer-message.ts';
import { createPeers, type Peers } from '../../../src/replication/peers.ts';
import type { FinalChange } from '../../../src/rollout/final-change.ts';
import { FleetCounters } from '../../../src/telemetry/fleet-counters.ts';
import { createLog } from '../../../src/telemetry/log.ts';
import { eventually } from '../../support/bounded.ts';
import { replica } from '../../support/replica.ts';

const closing: (() => Promise<void>)[] = [];
after(async () => {
  for (const close of closing) await close();
});

interface Peer extends Peers {
  readonly heard: PeerMessage[];
  readonly counters: FleetCounters;
}

async function peer(self: string, port = 0): Promise<Peer> {
  const heard: PeerMessage[] = [];
  const counters = new FleetCounters();
  const peers = await createPeers({
    listen: { host: '127.0.0.1', port },
    keys: () => [{ id: 'k1', secret: new Uint8Array(32).fill(1) }],
    self,
    onMessage: (message) => void heard.push(message),
    monotonicNow: () => performance.now(),
    log: createLog({ level: 'silent' }),
    counters,
  });
  closing.push(() => peers.close());
  return { ...peers, heard, counters };
}

const final = (id: string): FinalChange => ({
  id,
  service: 'notes',
  kind: 'rollout.put',
  status: 'APPLIED',
  progress: '3 of 3 replicas',
  revision: 1,
  createdAt: null,
  updatedAt: null,
  actor: null,
  reason: null,
  requestId: null,
  percentage: null,
  decreaseCount: 0,
});

test('ends are heard before anything that was said later, all of them, also after a failure', async () => {
  const [a, b] = [await peer('a'), await peer('b')];
  await b.close();
  a.connect(new Map([['b', `127.0.0.1:${b.port}`]]));
  const record = (sequence: number): PeerMessage => ({ type: 'record', record: replica('a', { sequence }) });
  for (let index = 0; index < 50; index++) a.send({ type: 'final', finals: [final(`c${index}`)] });
  a.send(record(1));
  await eventually(() => a.counters.failed.some((count) => count > 0), 'an attempt');
  const again = await peer('b', b.port);
  a.send(record(2));
  await eventually(() => again.heard.some(({ type }) => type === 'record'), 'the record');
  assert.deepEqual(
    again.heard.map((message) => (message.type === 'final' ? message.finals[0]?.id : message.type)),
    [...Array.from({ length: 50 }, (_, index) => `c${index}`), 'record'],
  );
});

test('takes no change that has not ended, and one that says more', () => {
  const read = (more: object) =>
    readBody(
      Buffer.from(JSON.stringify({ messages: [{ type: 'final', finals: [{ ...final('c1'), ...more }] }] })),
    );
  for (const more of [
    { status: 'APPLYING' },
    { revision: -1 },
    { progress: 7 },
    { id: '' },
    { alone: false },
  ])
    assert.ok('refused' in read(more), JSON.stringify(more));
  assert.ok(!('refused' in read({ alone: true, yetUnknown: 1 })));
});
