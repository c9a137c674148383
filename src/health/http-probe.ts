/**
 * One health check over HTTP/1.1, by undici, on a connection of its own: also that a new one is accepted belongs to health.
 *
 * It follows no redirect, reads no more than a little of the body, and is over when its time is. What it says of a failure
 * names statuses and error codes, never what the endpoint wrote.
 */
import { Agent, Client } from 'undici';
import { formatHostPort } from '../net/host-port.ts';
import { connectionOptions, type TlsOptions } from '../upstream/tls-transport.ts';
import { lookup } from '../upstream/transport.ts';
import type { Probe } from './checker.ts';
import { detached } from '../runtime/guard.ts';
import { awakeSignal } from '../runtime/awake-timer.ts';

/** Bytes of a body that are read before it is given up. */
const BODY_LIMIT = 64 * 1024;

/** Without pipelining no connection is kept. */
const OPTIONS = { pipelining: 0, maxHeaderSize: 16 * 1024 };

/** For one check: the certificate that it shows may be another one the next time. */
function secureClient(origin: string, host: string, tls: TlsOptions): Client {
  return new Client(origin, { connect: { lookup, ...connectionOptions(tls, host) }, ...OPTIONS });
}

export function createHttpProbe(): { readonly probe: Probe; readonly close: () => Promise<void> } {
  const agent = new Agent({ connect: { lookup }, ...OPTIONS });
  const probe: Probe = async ({ address, settings, tls }) => {
    const place = formatHostPort(address);
    const dispatcher = tls === null ? agent : secureClient(`https://${place}`, address.host, tls);
    const { signal, cancel } = awakeSignal(settings.timeout);
    try {
      const { statusCode, body } = await dispatcher.request({
        origin: `${tls === null ? 'http' : 'https'}://${place}`,
        path: settings.path,
        method: 'GET',
        headers: { 'user-agent': 'serin-health-check' },
        signal,
      });
      await body.dump({ limit: BODY_LIMIT, signal });
      return isExpected(statusCode, settings.expectedStatus) ? '' : `status ${statusCode}`;
    } catch (error) {
      if (signal.aborted) return 'timeout';
      const { code, name } = error as NodeJS.ErrnoException;
      return code ?? name;
    } finally {
      cancel();
      if (dispatcher !== agent) detached('a health check', dispatcher.destroy());
    }
  };
  return { probe, close: () => agent.destroy() };
}

function isExpected(status: number, expected: readonly number[]): boolean {
  return expected.length === 0 ? status >= 200 && status <= 299 : expected.includes(status);
}
