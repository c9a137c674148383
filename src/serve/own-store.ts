/** What a replica that is alone keeps on its disk, in one directory: the store, and how changes ended. */
import path from 'node:path';
import { fileStoreSettings, type StoreSettings } from '../config/store.ts';
import { createFileStore } from '../store/file/file-store.ts';
import { createFinalLog, type FinalLog } from '../store/file/final-log.ts';
import type { Store } from '../store/store.ts';
import type { Logger } from '../telemetry/log.ts';

export interface OwnStore {
  readonly store: Store;
  readonly finalLog: FinalLog;
}

/** Nothing is touched yet. Throws DocumentError where the settings are those of a store that replicas share. */
export function createOwnStore(settings: StoreSettings, log: Pick<Logger, 'warn'>): OwnStore {
  const { directory, historyBytes } = fileStoreSettings(settings);
  return {
    store: createFileStore({
      directory,
      historyBytes,
      wallNow: Date.now,
      warn: (message) => log.warn({}, message),
    }),
    finalLog: createFinalLog({ file: path.join(directory, 'finals'), wallNow: Date.now }),
  };
}
