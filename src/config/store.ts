/**
 * The section `store`: where what the API writes is kept, a directory of one process or a Redis that replicas share. Its schema, its
 * defaults, its checks.
 */
import nodePath from 'node:path';
import { Type, type Static } from 'typebox';
import { milliseconds, parseDuration } from '../schema/duration.ts';
import { DocumentError, type Fault } from '../schema/faults.ts';
import { DEFAULT_LEASE, type FleetDefinition } from './fleet.ts';
import { parseRedisUrl } from './redis-url.ts';
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

export const DEFAULT_STORE = './data';
/** Bytes that the history of all writes takes at most. */
export const DEFAULT_HISTORY_BYTES = 64 * 1024 * 1024;
export const DEFAULT_STORE_PREFIX = 'serin';
const DEFAULT_SNAPSHOT = './data/snapshot';
const DEFAULT_MAX_STALENESS = '10m';

/** The store's settings with everything said: paths absolute, defaults in their places. */
export type StoreSettings = {
  /** Bytes that the history may take. */
  readonly historyBytes: number;
} & (
  | { readonly file: string }
  | {
      /** The URL with its password: never in a message. */
      readonly redis: string;
      readonly prefix: string;
      readonly snapshot: string;
      /** A duration as the configuration writes it. */
      readonly maxStaleness: string;
    }
);

/** The settings of a configuration that its checks admit. */
export function storeSettings(store: StoreDefinition = {}): StoreSettings {
  const { historyBytes = DEFAULT_HISTORY_BYTES } = store;
  if (store.redis === undefined) return { file: nodePath.resolve(store.file ?? DEFAULT_STORE), historyBytes };
  return {
    historyBytes,
    redis: store.redis,
    prefix: store.prefix ?? DEFAULT_STORE_PREFIX,
    snapshot: nodePath.resolve(store.snapshot ?? DEFAULT_SNAPSHOT),
    maxStaleness: store.maxStaleness ?? DEFAULT_MAX_STALENESS,
  };
}

/** What the store of a directory needs. Throws DocumentError `configuration_invalid` for another. */
export function fileStoreSettings(store: StoreSettings): {
  readonly directory: string;
  readonly historyBytes: number;
} {
  if ('file' in store) return { directory: store.file, historyBytes: store.historyBytes };
  throw new DocumentError('configuration_invalid', 'The configuration is not valid:', [
    { pointer: '/store/redis', detail: 'this proxy can only use a directory; set store.file instead' },
  ]);
}

const LOWEST_STALENESS = 1000;
const HIGHEST_STALENESS = 24 * 60 * 60 * 1000;

/** What the store is checked with. */
interface StoreSurroundings {
  readonly store?: StoreDefinition;
  readonly fleet?: FleetDefinition;
  readonly secretFile?: string;
}

/** Pointers begin at the settings of the store. No fault holds the password. */
export function storeFaults({ store = {}, fleet = {}, secretFile }: StoreSurroundings): Fault[] {
  const faults: Fault[] = [];
  if (store.redis === undefined) {
    for (const field of ['prefix', 'snapshot', 'maxStaleness'] as const) {
      if (store[field] !== undefined)
        faults.push({
          pointer: `/${field}`,
          detail: 'it matters only with store.redis; remove it, or set that',
        });
    }
    return faults;
  }
  if (store.file !== undefined) {
    const detail =
      'there is store.file as well; keep one of them: store.redis for several replicas, store.file for one (`serin store migrate` moves from one to the other)';
    faults.push({ pointer: '/redis', detail });
  }
  const target = parseRedisUrl(store.redis);
  if (typeof target === 'string') faults.push({ pointer: '/redis', detail: target });
  if (secretFile === undefined) {
    const detail =
      'replicas must have the same key ring, so none is made; set secretFile to a file that you give to all of them';
    faults.push({ pointer: '/redis', detail });
  }
  faults.push(...stalenessFaults(store.maxStaleness ?? DEFAULT_MAX_STALENESS, fleet.lease));
  return faults;
}

function stalenessFaults(text: string, lease: string | undefined): Fault[] {
  const pointer = '/maxStaleness';
  const time = parseDuration(text);
  if (time < LOWEST_STALENESS || time > HIGHEST_STALENESS)
    return [{ pointer, detail: `${text} is out of range; expected a duration from 1s to 24h` }];
  if (time >= milliseconds(lease, DEFAULT_LEASE)) return [];
  return [{ pointer, detail: `${text} is shorter than fleet.lease; expected at least that` }];
}

/** The file of tombstones: with the store of a directory, or beside the state. */
export function tombstonesName(store: StoreSettings): string {
  return 'file' in store ? nodePath.join(store.file, 'tombstones') : `${store.snapshot}.tombstones`;
}
