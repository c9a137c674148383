/** How this replica takes part in a fleet, in the configuration. It matters only with a store that replicas share. */
import { Type, type Static } from 'typebox';
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
