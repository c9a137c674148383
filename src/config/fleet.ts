/**
 * The section `fleet`: how this replica takes part in a fleet. It matters only with a store that replicas share. Its schema, its
 * defaults, its checks. Times are milliseconds.
 */
import { Type, type Static } from 'typebox';
import type { EndpointAddress } from '../contract/endpoint-address.ts';
import { parseAddress } from '../ip/address.ts';
import { refuseDestination } from '../ip/destination.ts';
import { formatHostPort, parseEndpoint, parseListen } from '../net/host-port.ts';
import { milliseconds, parseDuration } from '../schema/duration.ts';
import type { Fault } from '../schema/faults.ts';
import { closed, duration, listen } from './schema-parts.ts';

export const FleetDefinition = Type.Object(
  {
    name: Type.Optional(
      Type.String({
        pattern: '^[A-Za-z0-9]([A-Za-z0-9._-]{0,251}[A-Za-z0-9])?$',
        description: 'a name of letters, digits and inner ".", "_" and "-"; unique among the replicas',
      }),
    ),
    listen: listen('where the other replicas reach this one'),
    advertise: Type.Optional(
      Type.String({
        minLength: 1,
        description:
          'an address such as 10.1.0.7:9092 or serin-0.serin:9092; the others are told to find this replica there',
      }),
    ),
    lease: duration('from 1s to 60s; a replica counts as live for so long without a word'),
    activation: duration(
      'up to 5s; from the write of a percentage to the moment at which all replicas begin',
    ),
  },
  closed,
);
export type FleetDefinition = Static<typeof FleetDefinition>;

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

const LIMITS = {
  lease: { lowest: 1000, highest: 60_000, words: 'from 1s to 60s' },
  activation: { lowest: 0, highest: 5000, words: 'from 0s to 5s' },
} as const;

/** Pointers begin at the settings. `listen` is checked with the other listeners. */
export function fleetFaults(fleet: FleetDefinition = {}): Fault[] {
  const faults: Fault[] = [];
  for (const field of ['lease', 'activation'] as const) {
    const text = fleet[field];
    if (text === undefined) continue;
    const { lowest, highest, words } = LIMITS[field];
    const time = parseDuration(text);
    if (time < lowest || time > highest)
      faults.push({ pointer: `/${field}`, detail: `${text} is out of range; expected a duration ${words}` });
  }
  if (fleet.advertise !== undefined) {
    const address = parseEndpoint(fleet.advertise);
    if (typeof address === 'string') faults.push({ pointer: '/advertise', detail: address });
  }
  return faults;
}
