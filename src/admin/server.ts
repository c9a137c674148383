/** The admin listener: HTTP in front of the control plane. */
import type { Configuration } from '../config/schema.ts';
import type { ControlPlane } from '../control/control-plane.ts';
import type { Log } from '../control/log.ts';

export interface AdminOptions {
  readonly controlPlane: ControlPlane;
  /** Port 0 takes a free one. */
  readonly listen: { readonly host: string; readonly port: number };
  /** Read at every request, so that a reloaded configuration counts at once. */
  readonly settings: () => Configuration['admin'];
  readonly clock: () => number;
  readonly log: Log;
}

/** Rejects when it cannot listen, or when it would listen beyond loopback without tokens. */
export declare function startAdmin(
  options: AdminOptions,
): Promise<{ readonly host: string; readonly port: number; close(): Promise<void> }>;
