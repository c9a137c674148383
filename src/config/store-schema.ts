/** Where what the API writes is kept, in the configuration: a directory of one process, or a Redis that replicas share. */
import { Type, type Static } from 'typebox';
import { closed, count, duration, path } from './schema-parts.ts';

export const StoreDefinition = Type.Object(
  {
    file: Type.Optional(path('the directory that holds what the API wrote')),
    redis: Type.Optional(
      Type.String({
        minLength: 1,
        maxLength: 4096,
        writeOnly: true,
        description:
          'a URL such as redis://:PASSWORD@redis:6379/0; the Redis that holds what the API of any replica wrote',
      }),
    ),
    prefix: Type.Optional(
      Type.String({
        pattern: '^[A-Za-z0-9._:-]{1,64}$',
        description: 'a prefix of letters, digits, ".", "_", ":" and "-"; all keys in Redis begin by it',
      }),
    ),
    snapshot: Type.Optional(
      path("a file of this replica's own; what it starts by while Redis is out of reach"),
    ),
    historyBytes: count(
      'bytes that the history of all writes may take, in the file or in Redis; of what is older only the outcome is kept',
      1_048_576,
      17_179_869_184,
    ),
    maxStaleness: duration('from 1s to 24h; a replica without Redis for so long gives stable to everybody'),
  },
  closed,
);
export type StoreDefinition = Static<typeof StoreDefinition>;
