/** One service as it is served: what defines it, and its rollout. */
import type { ServiceDefinition } from '../config/service.ts';
import type { RolloutState } from '../policy/rollout.ts';

export interface ServiceView {
  readonly name: string;
  /** file: the configuration file defines it, and the API only reads it. */
  readonly source: 'file' | 'api';
  readonly definition: ServiceDefinition;
  readonly rollout: RolloutState | null;
  /** The last write that touched the service; 0 before the first. */
  readonly revision: number;
}
