/**
 * The guard of `finish`: everyone goes to stable then, so stable's endpoints must be there to take them.
 *
 * An endpoint counts as ready when it accepts a connection. At least half of the listed ones must, so that one dead
 * address does not hold a release and a half-started deployment does. Discovery, where it exists, has its own guard.
 */
import { connect } from 'node:net';
import { parseEndpoint } from '../config/host-port.ts';
import type { ServiceDefinition } from '../config/schema.ts';
import { endpointAddress } from '../config/upstream-defaults.ts';
import type { GuardVerdict } from '../rollout/lifecycle.ts';

/** Whether stable can take everybody now. Never rejects. */
export type FinishGuard = (service: string, definition: ServiceDefinition) => Promise<GuardVerdict>;

/** Whether something accepts a connection there. Never rejects. */
export type Probe = (host: string, port: number) => Promise<boolean>;

/** More endpoints than this are judged by a sample of as many, spread evenly. */
const MOST_PROBES = 50;

export function createFinishGuard(probe: Probe): FinishGuard {
  return async (service, { stable }) => {
    const every = Math.max(1, Math.ceil(stable.endpoints.length / MOST_PROBES));
    const probed = stable.endpoints.filter((_, index) => index % every === 0).map(endpointAddress);
    const ready = await Promise.all(probed.map((endpoint) => isReady(endpoint, probe)));
    const count = ready.filter(Boolean).length;
    const needed = Math.max(1, Math.ceil(probed.length / 2));
    if (count >= needed) return { ok: true };
    const missing = probed.find((_, index) => ready[index] !== true);
    return {
      ok: false,
      detail: `Finish sends everyone to stable, but only ${count} of the ${probed.length} stable endpoints of "${service}" that were tried accept connections${missing === undefined ? '' : ` (${missing} does not)`}; ${needed} must. Wait until the new version is up there, or roll back.`,
      figures: { ready: count, needed, endpoints: stable.endpoints.length },
    };
  };
}

async function isReady(endpoint: string, probe: Probe): Promise<boolean> {
  const address = parseEndpoint(endpoint);
  return typeof address !== 'string' && probe(address.host, address.port);
}

/** Connects by TCP and closes again. `timeout` in ms. */
export function tcpProbe(timeout: number): Probe {
  return (host, port) =>
    new Promise((resolve) => {
      const socket = connect({ host, port });
      const end = (ready: boolean): void => {
        socket.destroy();
        resolve(ready);
      };
      socket.setTimeout(timeout, () => end(false));
      socket.once('connect', () => end(true));
      socket.once('error', () => end(false));
    });
}
