/** What holds for the fleet where the configuration says nothing. Times are milliseconds. */
import type { EndpointAddress } from '../contract/endpoint-address.ts';
import { parseAddress } from '../ip/address.ts';
import { refuseDestination } from '../ip/destination.ts';
import { milliseconds } from '../schema/duration.ts';
import type { FleetDefinition } from './fleet-schema.ts';
import { formatHostPort, parseListen } from '../net/host-port.ts';

export const DEFAULT_FLEET_LISTEN = '0.0.0.0:9092';
export const DEFAULT_LEASE = 5000;
const DEFAULT_ACTIVATION = 100;

export interface FleetSettings {
  readonly name: string;
  readonly listen: EndpointAddress;
  /** Where the others find it, by the port that it listens at. */
  readonly advertise: (port: number) => string;
  readonly lease: number;
  readonly activation: number;
}

/** What a machine knows of itself; `os.hostname` and `os.networkInterfaces` tell it. */
export interface Machine {
  readonly hostname: string;
  readonly interfaces: {
    readonly [name: string]:
      | readonly { readonly address: string; readonly family: string; readonly internal: boolean }[]
      | undefined;
  };
}

/** The settings of a configuration that its checks admit. */
export function fleetSettings(fleet: FleetDefinition = {}, machine: Machine): FleetSettings {
  const listen = parseListen(fleet.listen ?? DEFAULT_FLEET_LISTEN);
  if (typeof listen === 'string') throw new Error(listen);
  return {
    name: fleet.name ?? nameOf(machine.hostname),
    listen,
    advertise: (port) => fleet.advertise ?? formatHostPort({ host: reachable(listen.host, machine), port }),
    lease: milliseconds(fleet.lease, DEFAULT_LEASE),
    activation: milliseconds(fleet.activation, DEFAULT_ACTIVATION),
  };
}

/** The host name, without what a replica's name can't hold. */
function nameOf(hostname: string): string {
  const name = hostname.replaceAll(/[^A-Za-z0-9._-]/g, '-').slice(0, 253);
  return name.replaceAll(/^[._-]+|[._-]+$/g, '') || 'replica';
}

/** The host that it listens at; where that is every address, the first of the machine that others can reach. */
function reachable(host: string, { interfaces }: Machine): string {
  if (host !== '0.0.0.0' && !/^[0:]+$/.test(host)) return host;
  const addresses = Object.values(interfaces)
    .flatMap((list) => list ?? [])
    .filter(({ internal, address }) => !internal && isRouted(address));
  const first = addresses.find(({ family }) => family === 'IPv4') ?? addresses[0];
  return first?.address ?? (host.includes(':') ? '::1' : '127.0.0.1');
}

function isRouted(text: string): boolean {
  const address = parseAddress(text);
  return address !== null && refuseDestination(address, true) === null;
}
