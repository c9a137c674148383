/** Reads the region database into memory that all workers share. It promises that what it returns can be opened. */
import { readFile } from 'node:fs/promises';
import { DocumentError } from '../policy/faults.ts';
import { openRegion, RegionError } from '../policy/region.ts';
import { messageOf } from '../schema/thrown.ts';

/**
 * The database's bytes, or null where none is configured; `previous` again where they are the same, so that workers keep
 * their caches. Rejects with DocumentError `region_database_invalid`, which names the setting and the file.
 */
export async function loadRegionDatabase(
  file: string | undefined,
  previous: SharedArrayBuffer | null,
): Promise<SharedArrayBuffer | null> {
  if (file === undefined) return null;
  let bytes: Buffer;
  try {
    bytes = await readFile(file);
  } catch (error) {
    throw invalid(`cannot read ${file}: ${messageOf(error)}`);
  }
  if (previous !== null && bytes.equals(new Uint8Array(previous))) return previous;
  const shared = new SharedArrayBuffer(bytes.length);
  new Uint8Array(shared).set(bytes);
  try {
    openRegion(shared);
  } catch (error) {
    if (!(error instanceof RegionError)) throw error;
    throw invalid(`${file}: ${error.message}`);
  }
  return shared;
}

function invalid(detail: string): DocumentError {
  return new DocumentError('region_database_invalid', 'The region database cannot be used.', [
    { pointer: '/region/database', detail },
  ]);
}
