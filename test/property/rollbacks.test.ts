/**
 * Rollbacks among three replicas whose store and whose talk break at random: partitions, crashes, restarts, an emptied store, failovers
 * that lose the last commits. Whatever the order, a rollback that is on a disk is never forgotten and never taken back, it is
 * applied only when the workers of all have it, and it ends no rollout that began knowing of it.
 *
 * SERIN_FLEET_SEEDS runs more of them.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { isActive } from '../../src/rollout/lifecycle.ts';
import { RefusedError } from '../../src/rollout/refusal.ts';
import { eventually } from '../support/bounded.ts';
import {
  body,
  type Disk,
  type Replica,
  REQUEST,
  startReplicas,
  emptyStore,
  failOver,
} from '../support/replicas.ts';
import { seeded } from '../support/seeded.ts';

const SEEDS = Number(process.env['SERIN_FLEET_SEEDS'] ?? 6);
const NAMES = ['a', 'b', 'c'];
const ACTIONS = 50;

const tombstonesOf = ({ tombstones }: Disk) =>
  tombstones.lines.flatMap((line) => ('tombstone' in line ? [line.tombstone] : []));

async function write(work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (error) {
    assert.ok(error instanceof RefusedError, String(error));
  }
}

for (let seed = Number(process.env['SERIN_FLEET_FIRST'] ?? 1); seed <= SEEDS; seed++) {
  test(`rollbacks are kept: seed ${seed}`, async () => {
    const random = seeded(seed * 7919);
    const below = (limit: number): number => Math.floor(random() * limit);
    const { memory, start } = startReplicas();
    const replicas = new Map<string, Replica>();
    const born = new Map<Replica, number>();
    const faults: string[] = [];
    /** When a rollback was asked for, by its change. */
    const asked = new Map<string, number>();
    /** By a rollout, the rollbacks that its beginner knew. */
    const knowing = new Map<string, ReadonlySet<string>>();
    let lossy = false;

    const given = (one: Replica) =>
      one.workers.snapshots.at(-1)?.services.find(({ name }) => name === 'notes')?.rollout ?? null;

    async function begin(name: string, disk?: Disk): Promise<void> {
      const cut = disk?.saved !== null && disk !== undefined && below(2) === 0;
      const one = await start({ name, cut, ...(disk === undefined ? {} : { disk }) });
      replicas.set(name, one);
      born.set(one, performance.now());
      const over = new Set(tombstonesOf(one.disk).map(({ rolloutId }) => rolloutId));
      const look = (): void => {
        const rollout = given(one);
        if (rollout === null) return;
        if (!isActive(rollout.phase)) over.add(rollout.id);
        else if (over.has(rollout.id)) faults.push(`${name} gives the canary of ${rollout.id} again`);
      };
      look();
      const apply = one.workers.apply.bind(one.workers);
      one.workers.apply = (snapshot) => {
        const sequence = apply(snapshot);
        look();
        return sequence;
      };
      one.plane.subscribe(({ event }) => {
        if (one.killed || event.type !== 'change' || event.change.kind !== 'rollout.rollback') return;
        const { id, status } = event.change;
        const since = asked.get(id);
        // Who started since counts those only that it has met.
        if (status !== 'APPLIED' || since === undefined || born.get(one)! > since) return;
        const ended = tombstonesOf(one.disk).filter(({ changeId }) => changeId === id);
        for (const other of replicas.values()) {
          const rollout = given(other);
          // Who started since, or was cut off from the other since that started, was met by nobody.
          const isMet = one.plane.fleet().replicas.some(({ name: met }) => met === other.name);
          if (rollout === null || !isMet || born.get(other)! > since || !isActive(rollout.phase)) continue;
          if (ended.some(({ rolloutId }) => rolloutId === rollout.id))
            faults.push(
              `${name} says that ${id} is applied (${event.change.progress} at ${event.change.revision}), and ${other.name} at ${other.plane.fleet().revision} gives the canary of ${rollout.id}`,
            );
        }
      }, null);
    }

    async function act(one: Replica): Promise<void> {
      switch (below(11)) {
        case 0:
          one.store.cut = !one.store.cut;
          return;
        case 1:
          one.alone = !one.alone;
          return;
        case 2:
          lossy = true;
          failOver(memory, [...replicas.values()], 1 + below(3));
          return;
        case 3:
          if (emptyStore(memory, [...replicas.values()])) lossy = true;
          return;
        case 4: {
          // Another one of its name is on its way already; two alive would be another story.
          if (one.killed) return;
          const { disk } = one;
          one.kill();
          await begin(one.name, disk);
          return;
        }
        case 5:
        case 6:
        case 7: {
          const since = performance.now();
          await write(async () => {
            const change = await one.plane.writeRollout('notes', { kind: 'rollback' }, REQUEST);
            // What a killed one still says here, a dead process would not.
            if (!one.killed && !change.id.startsWith('present.')) asked.set(change.id, since);
          });
          return;
        }
        default: {
          const known = new Set(tombstonesOf(one.disk).map(({ changeId }) => changeId));
          const before = one.plane.service('notes').rollout;
          const command = {
            kind: 'put',
            body: body({ rules: [{ name: 'everyone', percentage: below(100) }] }),
            allowDecrease: true,
          } as const;
          await write(async () => {
            const { id } = await one.plane.writeRollout('notes', command, REQUEST);
            const rollout = memory.commits.find(({ changeId }) => changeId === id)?.document?.rollout;
            if (rollout && rollout.id !== before?.id && !knowing.has(rollout.id))
              knowing.set(rollout.id, known);
          });
        }
      }
    }

    for (const name of NAMES) await begin(name);
    const under: Promise<void>[] = [];
    for (let count = 0; count < ACTIONS; count++) {
      under.push(act(replicas.get(NAMES[below(3)]!)!));
      if (below(3) > 0) await pause(below(15));
    }
    await Promise.all(under);
    const all = [...replicas.values()];
    const ended = all.flatMap(({ disk }) => tombstonesOf(disk));
    for (const one of all) {
      one.store.cut = false;
      one.alone = false;
    }
    const over = new Set(ended.map(({ rolloutId }) => rolloutId));
    await eventually(() => {
      const stored = memory.documents.get('notes')?.document.rollout ?? null;
      const states = all.map((one) => JSON.stringify(given(one)?.id ?? null));
      const active = [stored, ...all.map(given)].filter((one) => one !== null && isActive(one.phase));
      return new Set(states).size === 1 && active.every((one) => !over.has(one?.id ?? ''));
    }, 'one state, in which nothing that was rolled back is under way');
    // Without a document of the service it is left for a minute to whoever knows one.
    if (!lossy && memory.documents.has('notes')) {
      for (const id of asked.keys())
        await eventually(
          () => memory.commits.some(({ changeId }) => changeId === id),
          `${id} in the store`,
          20_000,
        );
    }
    assert.deepEqual(faults, []);
    for (const { rolloutId, changeId } of all.flatMap(({ disk }) => tombstonesOf(disk)))
      assert.ok(
        !knowing.get(rolloutId)?.has(changeId),
        `${changeId} ended ${rolloutId}, which began knowing of it`,
      );
    for (const one of all) await one.close();
  });
}
