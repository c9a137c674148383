/** Explains what a described request gets: by the policy in force, or by that of an earlier revision. */
import type { Backend } from './api.ts';
import type { Discovery } from '../discovery/discovery.ts';
import { CANARY_USABLE, STABLE_USABLE } from '../policy/decide.ts';
import { explain } from '../policy/explain.ts';
import { refused } from '../rollout/refusal.ts';
import type { Commit } from '../store/store.ts';
import type { ActiveState } from '../state/active-state.ts';

export interface ExplainerOptions {
  readonly activeState: ActiveState;
  readonly endpoints: Discovery['endpoints'];
  /** The service's commit of that revision, or null. */
  readonly commitAt: (service: string, revision: number) => Promise<Commit | null>;
  /** Milliseconds since 1970. */
  readonly wallNow: () => number;
  readonly random: (size: number) => Uint8Array;
}

export function createExplainer(options: ExplainerOptions): Backend['explain'] {
  const { activeState, endpoints, commitAt, wallNow, random } = options;
  return async (service, request, revision) => {
    let policy = activeState.policy(service);
    if (revision !== null && revision !== activeState.view(service).revision) {
      const commit = await commitAt(service, revision);
      const rollout = commit?.document?.rollout;
      if (!rollout) {
        throw refused('revision_not_found', `"${service}" has no rollout at revision ${revision}.`, {
          revision,
        });
      }
      policy = activeState.policy(service, rollout);
    }
    const hasCanary = endpoints(activeState.view(service).definition.canary ?? {}).length > 0;
    return explain(policy, request, {
      usable: hasCanary ? STABLE_USABLE | CANARY_USABLE : STABLE_USABLE,
      nowSeconds: Math.floor(wallNow() / 1000),
      random: () => Buffer.from(random(16)).toString('base64url'),
    });
  };
}
