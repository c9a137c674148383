/** Where a replica that is alone keeps how changes ended: in the directory of its store. */
import path from 'node:path';
import { fileStoreSettings, type StoreSettings } from '../config/store-settings.ts';
import { createFinalLog, type FinalLog } from '../store/file/final-log.ts';

/** Null where replicas share a store, which keeps it. */
export function ownFinalLog(store: StoreSettings): FinalLog | null {
  if (!('file' in store)) return null;
  return createFinalLog({ file: path.join(fileStoreSettings(store).directory, 'finals'), clock: Date.now });
}
