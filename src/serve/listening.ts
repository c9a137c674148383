/**
 * Listeners of the process: from a setting's text to an address that is listened on, and a clear error where that can't be.
 */
import { formatHostPort, parseListen } from '../net/host-port.ts';
import type { EndpointAddress } from '../contract/endpoint-address.ts';
import { DocumentError } from '../schema/faults.ts';

/** Runs `start`; an address that is taken or forbidden becomes an error that names the setting and the remedy. */
export async function listening<T>(
  setting: string,
  address: EndpointAddress,
  start: () => Promise<T>,
): Promise<T> {
  try {
    return await start();
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    const variable = `SERIN_${setting.toUpperCase().replace('.', '_')}`;
    const remedy: Record<string, string> = {
      EADDRINUSE: 'another process listens there: stop it, or choose another port',
      EACCES: 'this user may not listen there: choose a port above 1023',
      EADDRNOTAVAIL: 'this machine does not have that address: choose one that it has',
    };
    const what = code === undefined ? undefined : remedy[code];
    if (what === undefined) throw error;
    throw new DocumentError('address_unavailable', `Cannot listen on ${formatHostPort(address)} (${code}).`, [
      { pointer: `/${setting.replace('.', '/')}`, detail: `${what} with ${setting} or ${variable}` },
    ]);
  }
}

export function listenAddress(text: string): EndpointAddress {
  const address = parseListen(text);
  // The configuration's checks have been through it.
  if (typeof address === 'string') throw new Error(address);
  return address;
}

/** A URL that works from this machine. */
export function url({ host, port }: EndpointAddress): string {
  const reachable = host === '0.0.0.0' ? '127.0.0.1' : host === '::' ? '::1' : host;
  return `http://${formatHostPort({ host: reachable, port })}`;
}
