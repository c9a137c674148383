/**
 * What the control plane knows: the configuration, and what writes made of it. Immutable; a write makes a new one.
 */
import { joinPointer } from '../schema/json-value.ts';
import type { ServiceView } from './service-view.ts';
import { apiFileFaults } from '../config/api-files.ts';
import type { Configuration } from '../config/schema.ts';
import { collisionFaults } from '../config/service-checks.ts';
import { DocumentError, type Fault } from '../schema/faults.ts';
import { type ValidationContext, validateRollout } from '../policy/validate.ts';
import { isUnderWay } from '../rollout/lifecycle.ts';
import type { StoredDocument } from '../store/store.ts';

export interface ControlState {
  readonly configuration: Configuration;
  /** The last accepted write, over all services. */
  readonly revision: number;
  readonly documents: ReadonlyMap<string, StoredDocument>;
}

/** Every service that is served, by name, in the order of the names. Where both define one, the file counts. */
export function viewServices({ configuration, documents }: ControlState): ReadonlyMap<string, ServiceView> {
  const views = new Map<string, ServiceView>();
  for (const [name, definition] of Object.entries(configuration.services ?? {})) {
    const stored = documents.get(name);
    const rollout = stored?.document.rollout ?? null;
    views.set(name, { name, source: 'file', definition, rollout, revision: stored?.revision ?? 0 });
  }
  for (const [name, { revision, document }] of documents) {
    if (document.definition === null || views.has(name)) continue;
    const { definition, rollout } = document;
    views.set(name, { name, source: 'api', definition, rollout, revision });
  }
  return new Map([...views].sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** What is odd about a state, but served all the same. */
export function oddities(state: ControlState): string[] {
  const services = state.configuration.services ?? {};
  return [...state.documents].flatMap(([name, { document }]) => {
    const inFile = Object.hasOwn(services, name);
    if (document.definition !== null && inFile) {
      return [
        `the service "${name}" was made through the API and is in the configuration file too; the file counts`,
      ];
    }
    if (document.definition === null && !inFile && document.rollout !== null) {
      return [
        `the service "${name}" has a rollout but is not in the configuration file any more; it is not served`,
      ];
    }
    return [];
  });
}

export function validationContext(configuration: Configuration): ValidationContext {
  return {
    segments: Object.keys(configuration.segments ?? {}),
    hasRegionDatabase: configuration.region !== undefined,
  };
}

/**
 * Checks that the configuration fits what writes made: rollouts under way still find their segments and regions, no
 * service of the API answers to a place of another one, and none names a file that it may not. Throws DocumentError `configuration_invalid`.
 */
export function checkState(state: ControlState): void {
  const views = viewServices(state);
  const faults: Fault[] = collisionFaults([...views].map(([name, { definition }]) => [name, definition]));
  const context = validationContext(state.configuration);
  for (const { name, source, definition } of views.values()) {
    if (source === 'file') continue;
    for (const { pointer, detail } of apiFileFaults(definition, state.configuration.admin?.tlsDirectory))
      faults.push({ pointer: joinPointer('/services', name) + pointer, detail });
  }
  for (const { name, rollout } of views.values()) {
    if (rollout === null || !isUnderWay(rollout.phase)) continue;
    try {
      validateRollout(rollout.document, { ...context, stored: true });
    } catch (error) {
      if (!(error instanceof DocumentError)) throw error;
      for (const { pointer, detail } of error.faults) {
        faults.push({
          pointer: joinPointer('/services', name),
          detail: `its rollout, which is ${rollout.phase}, no longer fits (${pointer}): ${detail}`,
        });
      }
    }
  }
  if (faults.length === 0) return;
  throw new DocumentError(
    'configuration_invalid',
    'The configuration does not fit the services and rollouts that the API made.',
    faults,
  );
}
