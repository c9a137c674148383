/** Watches how changes end at replicas: each once, and everywhere the same. */
import assert from 'node:assert/strict';
import { isFinal } from '../../src/rollout/change.ts';
import type { Replica } from './replicas.ts';

export interface Endings {
  /** From now on the replica's changes are watched. */
  watch(replica: Replica): void;
  /** Also what somebody was told who asked. */
  saw(name: string, id: string, status: string): void;
  /** How changes ended, by id. */
  readonly shown: ReadonlyMap<string, string>;
  /** Fails where a change ended otherwise somewhere, or where it went on after its end. */
  check(): void;
}

export function watchEndings(): Endings {
  const shown = new Map<string, string>();
  /** By replica and change. */
  const last = new Map<string, string>();
  const faults: string[] = [];
  const trace: string[] = [];

  function saw(name: string, id: string, status: string): void {
    trace.push(`${Math.round(performance.now())} ${name} ${id} ${status}`);
    const here = `${name} ${id}`;
    const before = last.get(here);
    if (before !== undefined && isFinalText(before) && before !== status)
      faults.push(`${here}: ${before}, then ${status}`);
    last.set(here, status);
    if (!isFinalText(status)) return;
    const elsewhere = shown.get(id);
    if (elsewhere !== undefined && elsewhere !== status)
      faults.push(`${here}: ${status}, and ${elsewhere} before or elsewhere`);
    shown.set(id, elsewhere ?? status);
  }

  return {
    shown,
    saw,
    watch(replica) {
      const { name, plane } = replica;
      plane.subscribe(({ event }) => {
        // A refused write is told as canceled, and nobody finds it any more.
        if (replica.killed || event.type !== 'change' || event.change.progress === 'refused') return;
        saw(name, event.change.id, event.change.status);
      }, null);
    },
    check() {
      const ids = faults.map((fault) => fault.split(/[ :]/)[1]!);
      const story = trace.filter((line) => ids.some((id) => line.includes(id)));
      assert.deepEqual(faults, [], [...faults, ...story].join('\n'));
    },
  };
}

const isFinalText = (status: string): boolean => isFinal(status as Parameters<typeof isFinal>[0]);
