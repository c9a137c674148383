/** Reads the region database into memory that all workers share. It promises that what it returns can be opened. */
import { readRegular } from '../files/regular-file.ts';
import { DocumentError } from '../schema/faults.ts';
import { openRegion, RegionError } from '../policy/region.ts';
import { fileTrouble } from '../schema/thrown.ts';

/** The largest database, in bytes: those that know cities take 60 to 150 million. */
const MOST_BYTES = 1024 * 1024 * 1024;

/**
 * The database's bytes, or null where none is configured; `previous` again where they are the same, so that workers keep
 * their caches. Rejects with DocumentError `region_database_invalid`, which names the setting and the file.
 */
export async function loadRegionDatabase(
  file: string | undefined,
  previous: SharedArrayBuffer | null,
): Promise<SharedArrayBuffer | null> {
  if (file === undefined) return null;
  let bytes: Uint8Array;
  try {
    bytes = await readRegular(file, MOST_BYTES);
  } catch (error) {
    throw invalid(`cannot read ${file}: ${fileTrouble(error)}`);
  }
  if (previous !== null && Buffer.compare(bytes, new Uint8Array(previous)) === 0) return previous;
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
