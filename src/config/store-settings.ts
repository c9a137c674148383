/** The store's settings with everything said: paths absolute, defaults in their places. */
import path from 'node:path';
import { DocumentError } from '../schema/faults.ts';
import {
  DEFAULT_HISTORY_BYTES,
  DEFAULT_MAX_STALENESS,
  DEFAULT_SNAPSHOT,
  DEFAULT_STORE,
  DEFAULT_STORE_PREFIX,
} from './defaults.ts';
import type { StoreDefinition } from './store-schema.ts';

/** Of one process, or shared by replicas. */
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
  if (store.redis === undefined) return { file: path.resolve(store.file ?? DEFAULT_STORE), historyBytes };
  return {
    historyBytes,
    redis: store.redis,
    prefix: store.prefix ?? DEFAULT_STORE_PREFIX,
    snapshot: path.resolve(store.snapshot ?? DEFAULT_SNAPSHOT),
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

/** The file of tombstones: with the store of a directory, or beside the state. */
export function tombstonesName(store: StoreSettings): string {
  return 'file' in store ? path.join(store.file, 'tombstones') : `${store.snapshot}.tombstones`;
}
