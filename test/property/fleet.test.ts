/**
 * Replicas over a store that misbehaves: cut connections, lost hints, writes that a failover loses, an emptied store, killed and
 * restarted replicas, writes and rollbacks by any of them. Afterwards all must have come to one state, no rollout that was
 * rolled back may be under way, and no accepted write of a store that lost nothing may be gone. No change may have ended in two ways
 * at any of them, nor gone on after its end.
 *
 * SERIN_FLEET_SEEDS runs more of them.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { RefusedError } from '../../src/rollout/refusal.ts';
import { eventually } from '../support/bounded.ts';
import { watchEndings } from '../support/endings.ts';
import { type Replica, REQUEST, startReplicas, emptyStore, failOver } from '../support/replicas.ts';
import { seeded } from '../support/seeded.ts';

const SEEDS = Number(process.env['SERIN_FLEET_SEEDS'] ?? 6);
const NAMES = ['a', 'b', 'c'];
const ACTIONS = 60;

const body = (percentage: number) =>
  ({
    bytes: Buffer.from(JSON.stringify({ rules: [{ name: 'everyone', percentage }] })),
    format: 'json',
  }) as const;

for (let seed = Number(process.env['SERIN_FLEET_FIRST'] ?? 1); seed <= SEEDS; seed++) {
  test(`replicas agree in the end: seed ${seed}`, async () => {
    const random = seeded(seed);
    const below = (limit: number): number => Math.floor(random() * limit);
    const { memory, start } = startReplicas();
    const replicas = new Map<string, Replica>();
    const endings = watchEndings();
    const begin: typeof start = async (options) => {
      const replica = await start(options);
      endings.watch(replica);
      return replica;
    };
    for (const name of NAMES) replicas.set(name, await begin({ name }));
    const rolledBack = new Set<string>();
    const accepted = new Set<string>();
    let lossy = false;

    const rolloutOf = (one: Replica): string | undefined => one.plane.service('notes').rollout?.id;
    async function write(one: Replica, work: () => Promise<{ readonly id: string }>): Promise<void> {
      try {
        accepted.add((await work()).id);
      } catch (error) {
        assert.ok(error instanceof RefusedError, `${one.name}: ${String(error)}`);
      }
    }
    async function act(one: Replica): Promise<void> {
      const { plane } = one;
      switch (below(12)) {
        case 0:
          one.store.cut = !one.store.cut;
          return;
        case 1:
          one.alone = !one.alone;
          return;
        case 2:
          one.store.deaf = !one.store.deaf;
          return;
        case 3:
          lossy = true;
          failOver(memory, [...replicas.values()], 1 + below(3));
          return;
        case 4:
          if (emptyStore(memory, [...replicas.values()])) lossy = true;
          return;
        case 5: {
          // Another one of its name is on its way already; two alive would be another story.
          if (one.killed) return;
          const { disk } = one;
          one.kill();
          replicas.set(
            one.name,
            await begin({ name: one.name, disk, cut: disk.saved !== null && below(2) === 0 }),
          );
          return;
        }
        case 6: {
          const id = rolloutOf(one);
          await write(one, async () => {
            const change = await plane.writeRollout('notes', { kind: 'rollback' }, REQUEST);
            if (id !== undefined && change.kind === 'rollout.rollback') rolledBack.add(id);
            return change;
          });
          return;
        }
        case 7:
          await write(one, () =>
            plane.writeRollout(
              'notes',
              { kind: 'put', body: body(below(100)), allowDecrease: true },
              REQUEST,
            ),
          );
          return;
        default:
          await write(one, () =>
            plane.writeRollout(
              'notes',
              { kind: 'percentage', rule: 'everyone', percentage: below(100), allowDecrease: true },
              REQUEST,
            ),
          );
      }
    }

    await write(replicas.get('a')!, () =>
      replicas
        .get('a')!
        .plane.writeRollout('notes', { kind: 'put', body: body(5), allowDecrease: true }, REQUEST),
    );
    const under: Promise<void>[] = [];
    for (let count = 0; count < ACTIONS; count++) {
      under.push(act(replicas.get(NAMES[below(3)]!)!));
      if (below(3) > 0) await pause(below(15));
    }
    await Promise.allSettled(under);
    for (const one of replicas.values()) {
      one.store.cut = false;
      one.store.deaf = false;
      one.alone = false;
    }
    await Promise.all(under);

    const all = [...replicas.values()];
    const stateOf = (one: Replica): string => {
      const { rollout, revision } = one.plane.service('notes');
      return JSON.stringify([revision, rollout]);
    };
    const stored = (): string => {
      const document = memory.documents.get('notes');
      return JSON.stringify([document?.revision ?? 0, document?.document.rollout ?? null]);
    };
    const settled = (): boolean => {
      const rollout = all[0]!.plane.service('notes').rollout;
      if (rollout !== null && rolledBack.has(rollout.id) && rollout.phase !== 'rolledBack') return false;
      const given = new Set(all.map((one) => JSON.stringify([one.phase(), one.percentage()])));
      return given.size === 1 && new Set([stored(), ...all.map(stateOf)]).size === 1;
    };
    try {
      await eventually(settled, 'one state');
    } catch (error) {
      const given = all.map((one) => `${one.name} ${one.phase()} ${one.percentage()} ${stateOf(one)}`);
      assert.fail(`${String(error)}\nstore ${memory.id} ${stored()}\n${given.join('\n')}`);
    }
    const revisions = memory.commits.map(({ revision }) => revision);
    assert.ok(revisions.every((revision, index) => index === 0 || revision > revisions[index - 1]!));
    // What each of them says in the end must be what it said, and what the others say.
    let waits = '';
    const ended = async (): Promise<boolean> => {
      for (const one of all) {
        for (const id of accepted) {
          const change = await one.plane.change(id).catch(() => null);
          if (change === null) continue;
          endings.saw(one.name, id, change.status);
          if (change.status === 'APPLYING' || change.status === 'PENDING') {
            waits = `${one.name} ${JSON.stringify(change)}`;
            return false;
          }
        }
      }
      return true;
    };
    await eventually(ended, 'the end of all changes').catch((error: unknown) =>
      assert.fail(`${String(error)}\n${waits}\n${JSON.stringify(all.map((one) => one.plane.fleet()))}`),
    );
    endings.check();
    if (!lossy) {
      const ids = new Set(memory.commits.map(({ changeId }) => changeId));
      for (const id of accepted) assert.ok(ids.has(id) || id.startsWith('present.'), `${id} is in the store`);
    }
    for (const one of all) await one.close();
  });
}
