/** What must hold of the fleet's settings beyond their schema. */
import { type Fault } from '../schema/faults.ts';
import { parseDuration } from '../schema/duration.ts';
import { parseEndpoint } from '../net/host-port.ts';
import type { FleetDefinition } from './fleet-schema.ts';

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
