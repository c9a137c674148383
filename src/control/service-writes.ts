/**
 * What a write to a service's definition comes to. Services of the configuration file are only read here.
 */
import type { WriteRequest } from '../rollout/write-request.ts';
import type { ServiceView } from '../state/service-view.ts';
import { apiFileFaults } from '../config/api-files.ts';
import type { ReadBody } from '../helper/read-body.ts';
import type { ServiceDefinition } from '../config/service.ts';
import { ServiceName } from '../config/schema-parts.ts';
import { collisionFaults, serviceWarnings } from '../config/service-checks.ts';
import { isDeepStrictEqual } from 'node:util';
import { DocumentError, type Fault } from '../schema/faults.ts';
import { isActive, isUnderWay } from '../rollout/lifecycle.ts';
import { checkPrecondition } from '../rollout/precondition.ts';
import { refused } from '../rollout/refusal.ts';
import { checkSchema } from '../schema/check.ts';
import type { ActiveState } from '../state/active-state.ts';
import type { Plan } from './writer.ts';

const checkName = checkSchema(ServiceName);

/** What the service's definition would be, after all checks; `read` has those of its body. Throws DocumentError and RefusedError. */
export function considerService(
  activeState: ActiveState,
  name: string,
  read: ReadBody,
  write: WriteRequest,
): ServiceDefinition {
  const faults = checkName(name).map(({ detail }): Fault => ({
    pointer: '',
    detail: `the name in the path: ${detail}`,
  }));
  const wrong = [...faults, ...read.faults];
  if (wrong.length === 0) {
    const { admin } = activeState.state.configuration;
    wrong.push(...apiFileFaults(read.value as ServiceDefinition, admin?.tlsDirectory));
  }
  if (wrong.length > 0) throw new DocumentError('service_invalid', 'The service is not valid.', wrong);
  const existing = activeState.views.get(name);
  refuseFileService(activeState, name);
  checkPrecondition(write.precondition, existing?.revision ?? null, `The service "${name}"`);
  const definition = read.value as ServiceDefinition;
  const others = [...activeState.views.values()]
    .filter((view) => view.name !== name)
    .map((view) => [view.name, view.definition] as const);
  const collisions = collisionFaults([...others, [name, definition]]);
  if (collisions.length > 0) {
    throw new DocumentError(
      'service_invalid',
      'The service answers where another one does.',
      collisions.map(({ pointer, detail }) => ({ pointer: pointer.replace(/^\/[^/]*/, ''), detail })),
    );
  }
  if (existing !== undefined) refuseToMoveUsers(existing, definition);
  return definition;
}

/** Another identity chain gives every user another bucket. */
function refuseToMoveUsers({ name, rollout, definition }: ServiceView, next: ServiceDefinition): void {
  if (rollout === null || !isUnderWay(rollout.phase)) return;
  if (isDeepStrictEqual(definition.identity, next.identity)) return;
  throw refused(
    'rollout_active',
    `"${name}" has a rollout that is ${rollout.phase}, and another identity chain would move its users between the variants. Change it when the rollout is over.`,
    { phase: rollout.phase },
  );
}

export function planService(
  activeState: ActiveState,
  name: string,
  read: ReadBody,
  write: WriteRequest,
): Plan {
  const definition = considerService(activeState, name, read, write);
  const existing = activeState.views.get(name);
  if (existing !== undefined && isDeepStrictEqual(existing.definition, definition))
    return { kind: 'nothing' };
  const rollout = activeState.state.documents.get(name)?.document.rollout ?? null;
  return {
    kind: 'write',
    document: { definition, rollout },
    decreases: [],
    percentage: null,
    warnings: () => serviceWarnings(definition).map(({ detail }) => detail),
  };
}

export function planDeletion(activeState: ActiveState, name: string, write: WriteRequest): Plan {
  const view = activeState.written(name);
  refuseFileService(activeState, name);
  checkPrecondition(write.precondition, view.revision, `The service "${name}"`);
  if (view.rollout !== null && isActive(view.rollout.phase)) {
    throw refused(
      'rollout_active',
      `"${name}" has a rollout that is ${view.rollout.phase}. Finish it or roll it back first.`,
      { phase: view.rollout.phase },
    );
  }
  return { kind: 'write', document: null, decreases: [], percentage: null, warnings: () => [] };
}

function refuseFileService(activeState: ActiveState, name: string): void {
  if (activeState.views.get(name)?.source !== 'file') return;
  throw refused(
    'service_read_only',
    `"${name}" is defined in the configuration file. Change it there; the file is read again when it changes.`,
  );
}
