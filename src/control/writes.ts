/** Writes to services and rollouts, and what they would change, from the body on: read, then planned in their turn. */
import { type BodyKind, isSmall, readBody, type ReadBody } from '../helper/read-body.ts';
import type { Helper } from '../helper/helper.ts';
import type { Change } from '../rollout/change.ts';
import { diff } from '../rollout/diff.ts';
import { isActive } from '../rollout/lifecycle.ts';
import { checkPrecondition, NO_PRECONDITION } from '../rollout/precondition.ts';
import type { DocumentBody, WriteRequest } from '../rollout/write-request.ts';
import type { ActiveState } from '../state/active-state.ts';
import type { Backend } from './api.ts';
import { policyOf } from './history.ts';
import { askedBy, commitKind, type RolloutPlanner } from './rollout-writes.ts';
import { considerService, planDeletion, planService } from './service-writes.ts';
import type { Plan, RollbackTarget, Writer } from './writer.ts';

export interface WritesOptions {
  readonly activeState: ActiveState;
  readonly helper: Helper;
  readonly writer: Writer;
  readonly planner: RolloutPlanner;
}

export type Writes = Pick<
  Backend,
  'read' | 'putService' | 'deleteService' | 'dryRunService' | 'writeRollout' | 'dryRunRollout'
>;

export function createWrites({ activeState, helper, writer, planner }: WritesOptions): Writes {
  function readBodyOf(kind: BodyKind, body: DocumentBody, caller: string): Promise<ReadBody> {
    return isSmall(body)
      ? Promise.resolve(body).then(() => readBody(kind, body))
      : helper.read(kind, body, caller);
  }

  function writeService(
    kind: 'service.put' | 'service.delete',
    service: string,
    request: WriteRequest,
    asked: unknown,
    plan: () => Plan,
  ): Promise<Change> {
    return writer.write({ service, kind, request, asked: [JSON.stringify(asked) ?? ''], plan });
  }

  /** Its ETag is judged when it comes: what is in force at once must not be refused afterwards. */
  function rollbackTarget(service: string, { precondition }: WriteRequest): RollbackTarget {
    // As written: a second rollback while the first is on its way to the store waits for it no longer than the first.
    const { rollout, revision } = activeState.written(service);
    checkPrecondition(precondition, rollout === null ? null : revision, `The rollout of "${service}"`);
    return { rolloutId: rollout?.id ?? null, isActive: rollout !== null && isActive(rollout.phase) };
  }

  return {
    read: async (kind, body, caller) => (await readBodyOf(kind, body, caller)).value,

    async putService(name, body, request) {
      const read = await readBodyOf('service', body, request.actor);
      const plan = (): Plan => planService(activeState, name, read, request);
      return writeService('service.put', name, request, read.value, plan);
    },

    deleteService: (name, request) =>
      writeService('service.delete', name, request, null, () => planDeletion(activeState, name, request)),

    async dryRunService(name, body, request) {
      const read = await readBodyOf('service', body, request.actor);
      const definition = considerService(activeState, name, read, request);
      const before = activeState.views.get(name)?.definition;
      return { diff: diff(before, definition), decreases: [], warnings: [], refusal: null };
    },

    async writeRollout(service, command, request) {
      // A service that is not there is not a matter of order: say so at once.
      activeState.view(service);
      const isRollback = command.kind === 'rollback';
      const planned = isRollback ? { ...request, precondition: NO_PRECONDITION } : request;
      const read = await planner.read(service, command, planned);
      return writer.write({
        service,
        kind: commitKind(command),
        request,
        asked: askedBy(command),
        plan: () => planner.plan(service, read, planned),
        ...(isRollback ? { rollback: () => rollbackTarget(service, request) } : {}),
      });
    },

    async dryRunRollout(service, command, request) {
      const read = await planner.read(service, command, request);
      const { view, outcome } = await planner.consider(service, read, request);
      const before = view.rollout === null ? undefined : policyOf(view.rollout);
      if (outcome.kind === 'refused')
        return { diff: [], decreases: [], warnings: [], refusal: outcome.refusal };
      return {
        diff: diff(before, policyOf(outcome.rollout)),
        decreases: outcome.kind === 'changed' ? outcome.decreases : [],
        warnings: planner.warnings(view, outcome.rollout),
        refusal: null,
      };
    },
  };
}
