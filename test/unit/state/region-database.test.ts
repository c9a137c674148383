/** A region database that is missing or damaged is said with its setting and its file. */
import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { loadRegionDatabase } from '../../../src/state/region-database.ts';

test('none configured, missing, damaged', async () => {
  const directory = await mkdtemp(path.join(tmpdir(), 'serin-region-'));
  try {
    const file = path.join(directory, 'regions.mmdb');
    assert.equal(await loadRegionDatabase(undefined, null), null);
    const refusal = { code: 'region_database_invalid', message: /\/region\/database.*regions\.mmdb/s };
    await assert.rejects(loadRegionDatabase(file, null), refusal);
    await writeFile(file, Buffer.alloc(1000, 0x41));
    await assert.rejects(loadRegionDatabase(file, null), refusal);
  } finally {
    await rm(directory, { recursive: true });
  }
});
