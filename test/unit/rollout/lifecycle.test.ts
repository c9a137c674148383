/** The life of a rollout: tables of what leads where, and a model that random sequences of commands are held to. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import type { Phase, RolloutState } from '../../../src/policy/rollout.ts';
import type { RolloutDocument } from '../../../src/policy/schema.ts';
import {
  advance,
  type NewRollout,
  type Outcome,
  type RolloutCommand,
} from '../../../src/rollout/lifecycle.ts';

const DOCUMENT: RolloutDocument = {
  rules: [
    { name: 'office', match: { segment: 'office' }, percentage: 100 },
    { name: 'everyone', percentage: 10 },
  ],
  steps: [{ percentage: 1 }, { percentage: 10 }, { percentage: 50 }, { percentage: 100 }],
};

let made = 0;
function fresh(): NewRollout {
  made += 1;
  return { id: `r${made}`, seed: '00'.repeat(16), fingerprintKey: 'k1', startedAt: '2026-01-01T00:00:00Z' };
}

const PUT: RolloutCommand = { kind: 'put', document: DOCUMENT, allowDecrease: false };
const READY = { ok: true } as const;

function changed(outcome: Outcome): RolloutState {
  if (outcome.kind !== 'changed') assert.fail(`the outcome is ${outcome.kind}`);
  return outcome.rollout;
}

function inPhase(phase: Phase): RolloutState {
  return { ...changed(advance(null, PUT, fresh)), phase };
}

function refusal(outcome: Outcome): string {
  return outcome.kind === 'refused' ? outcome.refusal.code : outcome.kind;
}

test('what leads from each phase to which, and what is refused', () => {
  const commands: Record<string, RolloutCommand> = {
    promote: { kind: 'promote', guard: { ok: true } },
    finish: { kind: 'finish', guard: READY },
    rollback: { kind: 'rollback' },
    pause: { kind: 'pause' },
    resume: { kind: 'resume' },
  };
  const table: Record<Phase, Record<string, string>> = {
    running: {
      promote: 'promoted',
      finish: 'wrong_phase',
      rollback: 'rolledBack',
      pause: 'paused',
      resume: 'unchanged',
    },
    paused: {
      promote: 'promoted',
      finish: 'wrong_phase',
      rollback: 'rolledBack',
      pause: 'unchanged',
      resume: 'running',
    },
    promoted: {
      promote: 'unchanged',
      finish: 'idle',
      rollback: 'rolledBack',
      pause: 'wrong_phase',
      resume: 'wrong_phase',
    },
    rolledBack: {
      promote: 'wrong_phase',
      finish: 'wrong_phase',
      rollback: 'unchanged',
      pause: 'wrong_phase',
      resume: 'wrong_phase',
    },
    idle: {
      promote: 'wrong_phase',
      finish: 'unchanged',
      rollback: 'wrong_phase',
      pause: 'wrong_phase',
      resume: 'wrong_phase',
    },
  };
  for (const [phase, row] of Object.entries(table)) {
    for (const [name, expected] of Object.entries(row)) {
      const outcome = advance(inPhase(phase as Phase), commands[name]!, fresh);
      const got = outcome.kind === 'changed' ? outcome.rollout.phase : refusal(outcome);
      assert.equal(got, expected, `${name} while ${phase}`);
    }
  }
});

test('a put starts a new rollout only where none is under way', () => {
  for (const phase of ['idle', 'rolledBack'] as const) {
    const before = inPhase(phase);
    const after = changed(advance(before, PUT, fresh));
    assert.equal(after.epoch, before.epoch + 1);
    assert.notEqual(after.id, before.id);
    assert.equal(after.phase, 'running');
  }
  assert.equal(refusal(advance(inPhase('promoted'), PUT, fresh)), 'wrong_phase');
  const running = inPhase('running');
  const document = { ...DOCUMENT, rules: [...DOCUMENT.rules, { name: 'more', percentage: 5 }] };
  const after = changed(advance(running, { kind: 'put', document, allowDecrease: false }, fresh));
  assert.deepEqual([after.id, after.epoch, after.seed], [running.id, running.epoch, running.seed]);
});

test('without a rollout every action is refused', () => {
  const { kind } = advance(null, { kind: 'pause' }, fresh);
  assert.equal(kind, 'refused');
  assert.equal(
    refusal(
      advance(null, { kind: 'percentage', rule: 'everyone', percentage: 5, allowDecrease: false }, fresh),
    ),
    'no_rollout',
  );
});

test('finish waits for stable', () => {
  const guard = { ok: false, detail: 'Nothing listens.', figures: { ready: 0, needed: 1 } } as const;
  assert.equal(refusal(advance(inPhase('promoted'), { kind: 'finish', guard }, fresh)), 'stable_not_ready');
});

test('promote waits for a canary that can be given, and is not refused where it is done already', () => {
  const guard = { ok: false, detail: 'No endpoint.', figures: { usable: 0, endpoints: 2 } } as const;
  for (const phase of ['running', 'paused'] as const)
    assert.equal(refusal(advance(inPhase(phase), { kind: 'promote', guard }, fresh)), 'canary_not_ready');
  assert.equal(advance(inPhase('promoted'), { kind: 'promote', guard }, fresh).kind, 'unchanged');
  assert.equal(refusal(advance(inPhase('idle'), { kind: 'promote', guard }, fresh)), 'wrong_phase');
});

test('percentages: lower ones must be asked for, a paused rollout is not raised, unknown rules are named', () => {
  const set = (percentage: number, allowDecrease = false, rule = 'everyone'): RolloutCommand => ({
    kind: 'percentage',
    rule,
    percentage,
    allowDecrease,
  });
  assert.equal(changed(advance(inPhase('running'), set(20), fresh)).document.rules[1]?.percentage, 20);
  assert.equal(refusal(advance(inPhase('running'), set(5), fresh)), 'decrease_not_allowed');
  const lowered = advance(inPhase('running'), set(5, true), fresh);
  assert.equal(lowered.kind === 'changed' && lowered.decreases.length, 1);
  assert.equal(refusal(advance(inPhase('paused'), set(20), fresh)), 'rollout_paused');
  assert.equal(changed(advance(inPhase('paused'), set(5, true), fresh)).phase, 'paused');
  assert.equal(refusal(advance(inPhase('running'), set(10), fresh)), 'unchanged');
  assert.throws(
    () => advance(inPhase('running'), set(20, false, 'evryone'), fresh),
    /did you mean "everyone"/,
  );
});

test('steps go up one by one and end; a retry that says where it starts cannot step twice', () => {
  let rollout = inPhase('running');
  const seen: number[] = [];
  for (let from = 10; ; from = seen.at(-1)!) {
    const outcome = advance(rollout, { kind: 'step', from }, fresh);
    if (outcome.kind !== 'changed') {
      assert.equal(refusal(outcome), 'no_next_step');
      break;
    }
    ({ rollout } = outcome);
    assert.equal(
      refusal(advance(rollout, { kind: 'step', from }, fresh)),
      from === 50 ? 'no_next_step' : 'step_moved',
    );
    seen.push(rollout.document.rules[1]!.percentage);
  }
  assert.deepEqual(seen, [50, 100]);
  assert.equal(refusal(advance(inPhase('paused'), { kind: 'step', from: null }, fresh)), 'rollout_paused');
});

const percentage = fc.constantFrom(0, 1, 5, 10, 50, 100);
const document: fc.Arbitrary<RolloutDocument> = fc
  .uniqueArray(fc.constantFrom('everyone', 'office', 'campus'), { minLength: 1 })
  .chain((names) =>
    fc.tuple(...names.map((name) => percentage.map((percent) => ({ name, percentage: percent })))),
  )
  .map((rules) => ({ rules }));
const command: fc.Arbitrary<RolloutCommand> = fc.oneof(
  document.chain((one) =>
    fc.boolean().map((allowDecrease): RolloutCommand => ({ kind: 'put', document: one, allowDecrease })),
  ),
  fc.tuple(percentage, fc.boolean()).map(([percent, allowDecrease]): RolloutCommand => ({
    kind: 'percentage',
    rule: 'everyone',
    percentage: percent,
    allowDecrease,
  })),
  fc.constantFrom<RolloutCommand>(
    { kind: 'promote', guard: { ok: true } },
    { kind: 'finish', guard: READY },
    { kind: 'rollback' },
    { kind: 'pause' },
    { kind: 'resume' },
    { kind: 'step', from: null },
  ),
);

/** The share of users whom unconditional rules admit: what must never fall by itself. */
function exposure({ phase, document: { rules } }: RolloutState): number {
  if (phase === 'promoted') return 100;
  if (phase === 'idle' || phase === 'rolledBack') return 0;
  return Math.max(...rules.map((rule) => rule.percentage));
}

test('no sequence of commands breaks a promise', () => {
  const allowed: Record<Phase, readonly Phase[]> = {
    running: ['running', 'paused', 'promoted', 'rolledBack'],
    paused: ['paused', 'running', 'promoted', 'rolledBack'],
    promoted: ['idle', 'rolledBack'],
    idle: ['running'],
    rolledBack: ['running'],
  };
  fc.assert(
    fc.property(fc.array(command, { maxLength: 40 }), (commands) => {
      let rollout: RolloutState | null = null;
      for (const one of commands) {
        let outcome: Outcome;
        try {
          outcome = advance(rollout, one, fresh);
        } catch {
          continue; // an unknown rule
        }
        if (outcome.kind !== 'changed') continue;
        const next: RolloutState = outcome.rollout;
        if (rollout === null) {
          assert.equal(next.phase, 'running');
          assert.equal(next.epoch, 1);
        } else {
          assert.ok(allowed[rollout.phase].includes(next.phase), `${rollout.phase} → ${next.phase}`);
          const renewed: boolean = rollout.phase === 'idle' || rollout.phase === 'rolledBack';
          assert.equal(next.epoch, rollout.epoch + (renewed ? 1 : 0));
          assert.equal(next.id === rollout.id, !renewed);
          const wanted =
            ('allowDecrease' in one && one.allowDecrease) || one.kind === 'rollback' || one.kind === 'finish';
          if (!wanted && !renewed) assert.ok(exposure(next) >= exposure(rollout));
          // The same command again changes nothing more, or is refused.
          if (one.kind !== 'put' && one.kind !== 'step')
            assert.notEqual(advance(next, one, fresh).kind, 'changed');
        }
        rollout = next;
      }
    }),
    { numRuns: 1000 },
  );
});
