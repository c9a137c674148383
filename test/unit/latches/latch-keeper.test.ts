import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createLatchKeeper, latchOwner, type LatchNote } from '../../../src/latches/latch-keeper.ts';
import { createLatchOutbox } from '../../../src/latches/latch-outbox.ts';
import type { ServiceSnapshot } from '../../../src/contract/snapshot.ts';
import { compilePolicy } from '../../../src/policy/compile.ts';
import { LatchMemory } from '../../../src/policy/latch/latch-memory.ts';
import { LatchTable } from '../../../src/policy/latch/latch-table.ts';
import type { RolloutState } from '../../../src/policy/rollout.ts';
import type { Rule } from '../../../src/policy/schema.ts';
import { context, decideOnce, KEYS, rollout, service } from '../policy/fixtures.ts';

const OFFICE: Rule = { name: 'office', match: { segment: 'office' }, percentage: 100 };
const AT_OFFICE = { client: '203.0.113.7' };
const AT_HOME = { client: '192.0.2.1' };
const BY_HEADER = { identity: [{ header: 'x-user-id' }, { fingerprint: true }] as const };

/** A replica with a main thread and workers that share its memory of latches. */
function replica(limit = 1000, keys = KEYS) {
  const keeper = createLatchKeeper(limit, 2);
  const memories = [0, 1].map((index) => new LatchMemory(new LatchTable(keeper.memory, latchOwner(index))));
  let state: RolloutState | null = null;
  const follow = (next: RolloutState | null, name = 'notes'): void => {
    state = next;
    const services = [service({ ...BY_HEADER, name, rollout: state })] as unknown as ServiceSnapshot[];
    keeper.follow({ services, keys });
    for (const memory of memories) memory.follow(keeper.scopes);
  };
  const decide = (worker: number, user: string, request: object) => {
    const policy = compilePolicy(
      service({ ...BY_HEADER, rollout: state }),
      context({ keys }, memories[worker]),
    );
    return decideOnce(policy, { ...request, headers: { 'x-user-id': user } });
  };
  return { keeper, follow, decide };
}

function noteOf(decision: { identityHash: number; remember: string }, rolloutId = 'rollout-1'): LatchNote {
  const { identityHash, remember: value } = decision;
  return { service: 'notes', rolloutId, identityHash, value };
}

test('what one worker decided, the other finds; and another replica, once it was told', () => {
  const here = replica();
  const there = replica();
  here.follow(rollout([OFFICE]));
  there.follow(rollout([OFFICE]));
  const admitted = here.decide(0, 'me', AT_OFFICE);
  assert.equal(here.decide(1, 'me', AT_HOME).reason, 'latch');
  assert.equal(there.decide(0, 'me', AT_HOME).variant, 'stable');
  assert.deepEqual(there.keeper.takeOver([noteOf(admitted)]), { taken: 1, refused: 0, lost: 0 });
  assert.equal(there.decide(0, 'me', AT_HOME).reason, 'latch');
  assert.equal(there.decide(1, 'me', AT_HOME).reason, 'latch');
  const { held, takenOver, bytes } = there.keeper.figures();
  assert.deepEqual({ held, takenOver }, { held: 1, takenOver: 1 });
  assert.ok(bytes > 0);
});

test('what is forged, of another rollout or junk is refused and counted', () => {
  const here = replica();
  here.follow(rollout([OFFICE]));
  const note = noteOf(here.decide(0, 'me', AT_OFFICE));
  const stranger = replica(1000, [{ id: 'k1', secret: new Uint8Array(32).fill(8) }]);
  stranger.follow(rollout([OFFICE]));
  const hostile = [
    { ...note, value: `${note.value.slice(0, -1)}${note.value.endsWith('A') ? 'B' : 'A'}` },
    { ...note, value: '' },
    { ...note, value: 'x'.repeat(100_000) },
    { ...note, service: 'other' },
    { ...note, rolloutId: 'rollout-2' },
    { ...note, identityHash: -1 },
    { ...note, identityHash: 2 ** 60 },
    { ...note, identityHash: Number.NaN },
  ];
  const there = replica();
  there.follow(rollout([OFFICE]));
  assert.deepEqual(there.keeper.takeOver(hostile), { taken: 0, refused: hostile.length, lost: 0 });
  assert.deepEqual(stranger.keeper.takeOver([note]), { taken: 0, refused: 1, lost: 0 });
  const next = replica();
  next.follow(rollout([OFFICE], { id: 'rollout-2' }));
  assert.equal(next.keeper.takeOver([note, { ...note, rolloutId: 'rollout-2' }]).refused, 2);
  assert.equal(there.keeper.figures().held, 0);
  assert.equal(there.keeper.figures().refused, hostile.length);
});

test('the latches of a rollout that is over stay for a minute, then they go', () => {
  const { keeper, follow, decide } = replica();
  follow(rollout([OFFICE]));
  const note = noteOf(decide(0, 'me', AT_OFFICE));
  follow(rollout([OFFICE], { phase: 'promoted' }));
  assert.equal(keeper.takeOver([note]).refused, 1);
  keeper.tidy(1000);
  keeper.tidy(60_000);
  assert.equal(keeper.figures().held, 1);
  keeper.tidy(61_000);
  keeper.tidy(62_000);
  assert.equal(keeper.figures().held, 0);
  assert.deepEqual(keeper.scopes, {});
  follow(rollout([OFFICE]));
  assert.equal(decide(0, 'me', AT_HOME).variant, 'stable');
});

test('a rollout that goes on in time keeps its latches', () => {
  const { keeper, follow, decide } = replica();
  follow(rollout([OFFICE]));
  decide(0, 'me', AT_OFFICE);
  follow(null);
  keeper.tidy(0);
  follow(rollout([OFFICE]));
  keeper.tidy(1_000_000);
  keeper.tidy(1_001_000);
  assert.equal(decide(0, 'me', AT_HOME).reason, 'latch');
});

test('rollouts may come and go without end', () => {
  const { keeper, follow, decide } = replica();
  for (let number = 0; number < 5000; number++) {
    follow(rollout([OFFICE], { id: `rollout ${number}`, epoch: number }));
    if (number % 250 === 0) {
      assert.equal(decide(0, 'me', AT_OFFICE).reason, 'rule');
      assert.equal(decide(1, 'me', AT_HOME).reason, 'latch');
    }
    keeper.tidy(number * 61_000);
  }
  assert.ok(keeper.figures().held < 5);
});

test('a latch that a worker could not keep is kept for it, and a known one is left alone', () => {
  const here = replica();
  const there = replica();
  here.follow(rollout([OFFICE]));
  there.follow(rollout([OFFICE]));
  const note = noteOf(here.decide(0, 'me', AT_OFFICE));
  here.keeper.settle([note]);
  there.keeper.settle([note, { ...note, rolloutId: 'rollout-9' }]);
  assert.equal(there.decide(0, 'me', AT_HOME).reason, 'latch');
  assert.equal(here.keeper.figures().held, 1);
  assert.equal(there.keeper.figures().refused, 0);
});

test('an outbox sends what a few ms bring together, in bounded messages', () => {
  const sent: (readonly LatchNote[])[] = [];
  const timers: (() => void)[] = [];
  let lost = 0;
  const outbox = createLatchOutbox(
    (batch) => void sent.push(batch),
    (send) => void timers.push(send),
    (count) => (lost += count),
  );
  const here = replica();
  here.follow(rollout([OFFICE]));
  const route = {
    name: 'notes',
    policy: compilePolicy(service({ ...BY_HEADER, rollout: rollout([OFFICE]) }), context()),
  };
  const decision = here.decide(0, 'me', AT_OFFICE);
  for (let number = 0; number < 70_000; number++) outbox.add(route, decision);
  assert.equal(sent.length, 0);
  assert.equal(timers.length, 1);
  assert.equal(lost, 70_000 - 65_536);
  timers.pop()!();
  assert.equal(sent.length, 1);
  assert.deepEqual(sent[0]![0], noteOf(decision));
  assert.equal(timers.length, 1);
  outbox.flush();
  assert.ok(sent.every((batch) => batch.length <= 1024));
  assert.equal(sent.flat().length, 65_536);
  timers.pop()!();
  assert.equal(sent.flat().length, 65_536);
});
