/** The fleet as `GET /v1/fleet` shows it. */
import packageJson from '../../package.json' with { type: 'json' };
import type { FleetView } from '../admin/backend.ts';

/** The fleet of a replica that is alone: itself, always live, always leading. */
export function viewAlone(of: {
  readonly name: string;
  /** RFC 3339. */
  readonly startedAt: string;
  readonly revision: number;
  readonly workers: readonly { readonly index: number; readonly revision: number }[];
  readonly storeAvailable: boolean;
}): FleetView {
  const { name, startedAt, revision, storeAvailable } = of;
  const workers = of.workers.map((worker) => ({ index: worker.index, revision: worker.revision }));
  return {
    revision,
    store: storeAvailable
      ? { condition: 'available', trouble: null }
      : { condition: 'unreachable', trouble: 'the last write did not reach the store' },
    disagreements: [],
    replicas: [
      {
        name,
        boot: '',
        version: packageJson.version,
        address: '',
        startedAt,
        state: 'live',
        leader: true,
        revision: Math.min(revision, ...workers.map((worker) => worker.revision)),
        workers,
        rolledBack: [],
        faults: [],
        fenced: false,
        ageMs: 0,
      },
    ],
  };
}
