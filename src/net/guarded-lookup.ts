/**
 * Resolves an endpoint's host name, and refuses what it may not lead to: whoever writes a name's records could otherwise send
 * requests to a metadata service, or to Serin's own API, which no configuration names.
 *
 * It promises that what is connected to is what was looked at: the addresses that it gives are used as they are, without another question.
 */
import { lookup as systemLookup, type LookupAddress } from 'node:dns';
import type { LookupFunction } from 'node:net';
import { parseAddress } from '../ip/address.ts';
import { isLocalName, refuseDestination } from '../ip/destination.ts';

type Resolve = (
  host: string,
  options: { readonly all: true },
  done: (error: NodeJS.ErrnoException | null, addresses: LookupAddress[]) => void,
) => void;

/** For the option `lookup` of `net.connect`. Addresses that are refused are left out; with none left it is an error. */
export function guardedLookup(resolve: Resolve = systemLookup): LookupFunction {
  return (host, options, done) => {
    const loopback = isLocalName(host);
    resolve(host, { ...options, all: true }, (error, addresses) => {
      if (error !== null) {
        done(error, []);
        return;
      }
      const allowed = addresses.filter(({ address }) => {
        const parsed = parseAddress(address);
        return parsed !== null && refuseDestination(parsed, loopback) === null;
      });
      const [first] = allowed;
      if (first === undefined) {
        const refusal: NodeJS.ErrnoException = new Error(`${host} leads only to addresses that are refused`);
        refusal.code = 'destination_refused';
        done(refusal, []);
        return;
      }
      if (options.all === true) done(null, allowed);
      else done(null, first.address, first.family);
    });
  };
}
