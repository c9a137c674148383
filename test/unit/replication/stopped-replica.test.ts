/** A replica that was stopped for a while: what it knew then is as old as that, however little it noticed of the time. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { eventually } from '../../support/bounded.ts';
import { type Replica, REQUEST, startReplicas } from '../../support/replicas.ts';

const put = (replica: Replica) => {
  const bytes = Buffer.from(JSON.stringify({ rules: [{ name: 'everyone', percentage: 10 }] }));
  const command = { kind: 'put', body: { bytes, format: 'json' }, allowDecrease: false } as const;
  return replica.plane.writeRollout('notes', command, REQUEST);
};

test('who was stopped for too long gives stable before the store has answered, then goes on', async () => {
  const { start } = startReplicas();
  const a = await start({ name: 'a', maxStaleness: 60_000 });
  await put(a);
  const before = a.workers.snapshots.length;
  a.slept = 3_600_000;
  const phases = () => a.workers.snapshots.slice(before).map(({ services }) => services[0]?.rollout?.phase);
  await eventually(
    () => phases().at(-1) === 'running' && phases().includes('rolledBack'),
    'stable for a moment',
  );
  assert.deepEqual(phases(), ['rolledBack', 'running']);
});

test('an answer of the store that lay unread while the replica was stopped says nothing of now', async () => {
  const { start } = startReplicas();
  const a = await start({ name: 'a', maxStaleness: 60_000 });
  await put(a);
  const before = a.workers.snapshots.length;
  const sync = a.store.sync.bind(a.store);
  let fresh = Number.NaN;
  a.store.sync = async (beat) => {
    const seen = await sync(beat);
    a.store.sync = async (next) => {
      // Nothing was asked since: the workers may not go on by that answer.
      if (Number.isNaN(fresh)) fresh = a.workers.freshUntil - performance.now();
      return sync(next);
    };
    a.slept = 3_600_000;
    return seen;
  };
  const phases = () => a.workers.snapshots.slice(before).map(({ services }) => services[0]?.rollout?.phase);
  await eventually(
    () => phases().at(-1) === 'running' && phases().includes('rolledBack'),
    'stable for a moment',
  );
  assert.deepEqual(phases(), ['rolledBack', 'running']);
  assert.ok(fresh < 0, `fresh for ${fresh} ms`);
});

test('workers may go on by what they know for as long as the replica may, and no longer', async () => {
  const { start } = startReplicas();
  const a = await start({ name: 'a', maxStaleness: 60_000 });
  await put(a);
  const rest = a.workers.freshUntil - performance.now();
  assert.ok(rest > 50_000 && rest <= 60_000, String(rest));
  a.store.cut = true;
  const until = a.workers.freshUntil;
  await eventually(() => a.store.condition !== 'available', 'a beat in vain');
  await eventually(() => a.workers.freshUntil === until, 'the same moment');
});
