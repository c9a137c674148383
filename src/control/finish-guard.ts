/**
 * The guard of `finish`: everyone goes to stable then, so stable's endpoints must be there to take them.
 *
 * An endpoint counts as ready when it accepts a connection. At least half of the listed ones must, so that one dead
 * address does not hold a release and a half-started deployment does. Of discovered endpoints none is listed that is not
 * ready, but the list may be old while its source is gone, so they are tried as well.
 */
import { connect } from 'node:net';
import { sourceName } from '../config/endpoint-source.ts';
import { formatHostPort } from '../net/host-port.ts';
import type { ServiceDefinition } from '../config/service.ts';
import type { Discovery } from '../discovery/discovery.ts';
import type { GuardVerdict } from '../rollout/lifecycle.ts';
import { afterAwake } from '../runtime/awake-timer.ts';
import { guarded } from '../runtime/guard.ts';

/** Whether stable can take everybody now. Never rejects. */
export type FinishGuard = (service: string, definition: ServiceDefinition) => Promise<GuardVerdict>;

/** Whether something accepts a connection there. Never rejects. */
export type Probe = (host: string, port: number) => Promise<boolean>;

/** More endpoints than this are judged by a sample of as many, spread evenly. */
const MOST_PROBES = 50;

export function createFinishGuard(probe: Probe, endpointsOf: Discovery['endpoints']): FinishGuard {
  return async (service, { stable }) => {
    const endpoints = endpointsOf(stable);
    if (endpoints.length === 0) {
      return {
        ok: false,
        detail: `Finish sends everyone to stable, but no endpoint of stable is known (${sourceName(stable)} of "${service}"). Wait until the new version is up there, or roll back.`,
        figures: { ready: 0, needed: 1, endpoints: 0 },
      };
    }
    const every = Math.max(1, Math.ceil(endpoints.length / MOST_PROBES));
    const probed = endpoints.filter((_, index) => index % every === 0);
    const ready = await Promise.all(probed.map(({ host, port }) => probe(host, port)));
    const count = ready.filter(Boolean).length;
    const needed = Math.max(1, Math.ceil(probed.length / 2));
    if (count >= needed) return { ok: true };
    const missing = probed.find((_, index) => ready[index] !== true);
    const which = missing === undefined ? '' : ` (${formatHostPort(missing)} does not)`;
    return {
      ok: false,
      detail: `Finish sends everyone to stable, but only ${count} of the ${probed.length} stable endpoints of "${service}" that were tried accept connections${which}; ${needed} must. Wait until the new version is up there, or roll back.`,
      figures: { ready: count, needed, endpoints: endpoints.length },
    };
  };
}

/** Connects by TCP and closes again. `timeout` in ms. */
export function tcpProbe(timeout: number): Probe {
  return (host, port) =>
    new Promise((resolve) => {
      const socket = connect({ host, port });
      const end = (ready: boolean): void => {
        cancel();
        socket.destroy();
        resolve(ready);
      };
      const cancel = afterAwake(
        timeout,
        guarded('trying an endpoint', () => end(false)),
      );
      socket.once('connect', () => end(true));
      socket.once('error', () => end(false));
    });
}
