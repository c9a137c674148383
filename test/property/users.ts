/**
 * Simulated users: numbers that are the same in every process.
 */
import type { CompiledPolicy } from '../../src/policy/compile.ts';
import { decide } from '../../src/policy/decide.ts';
import { newDecision, type Decision } from '../../src/policy/decision.ts';
import type { RequestFacts } from '../../src/policy/facts.ts';
import { facts, mint, NOW } from '../unit/policy/fixtures.ts';

export const BY_HEADER = { identity: [{ header: 'x-user-id' }] as const };

/** The facts of users without number, one object for all: set `user` before each decision. */
class Users {
  user = '';
  readonly facts: RequestFacts;

  constructor() {
    const base = facts();
    this.facts = { ...base, header: (name) => (name === 'x-user-id' ? this.user : base.header(name)) };
  }
}

const decision = newDecision();

/** Decides for user 0 to `count` - 1 of a service that knows users by header; the decision is valid until the next. */
export function eachUser(
  policy: CompiledPolicy,
  count: number,
  visit: (decision: Decision, number: number) => void,
): void {
  const users = new Users();
  for (let number = 0; number < count; number++) {
    users.user = `user-${number}`;
    visit(decide(policy, users.facts, 3, NOW, mint, decision), number);
  }
}
