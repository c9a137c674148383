/**
 * Puts a whole store into a directory, as the log of the embedded store.
 *
 * It promises that the directory's log is the former one or the new one, whatever happens meanwhile. It must never be called by
 * somebody who has not locked the directory.
 */
import path from 'node:path';
import { encodeFrame, encodeHeader } from './log-format.ts';
import { LOG_NAME } from './write-ahead-log.ts';
import { encodeCommits, encodeSnapshot, LARGEST_BATCH } from '../log-records.ts';
import { createPacker } from '../packed-commit.ts';
import type { StoreFiles } from '../../files/file-system.ts';
import { replaceWhole } from '../../files/atomic-file.ts';
import type { WholeStore } from '../whole-store.ts';

/** Commits that are written as one frame at most. */
const BATCH = 500;

/** Rejects with the errors of the file system; then the log is as it was. */
export async function importLog(files: StoreFiles, directory: string, whole: WholeStore): Promise<void> {
  const { revision, documents, history } = whole;
  const base = revision - history.length;
  // What the history writes again need not, and what it deletes must not, be there before.
  const written = new Set(history.map(({ service }) => service));
  const older = [...documents].filter(([service]) => !written.has(service));
  const packer = createPacker();
  const packed = history.map((commit) => packer.pack(commit));
  const frames: Buffer[] = [encodeHeader(base, packed.some((one) => one.base !== null) ? 2 : 1)];
  if (base > 0) frames.push(encodeFrame(encodeSnapshot({ revision: base, documents: older })));
  let batch: string[] = [];
  let size = 0;
  const endBatch = (): void => {
    if (batch.length > 0) frames.push(encodeFrame(encodeCommits(batch)));
    batch = [];
    size = 0;
  };
  for (const { json } of packed) {
    if (batch.length === BATCH || size + json.length > LARGEST_BATCH) endBatch();
    batch.push(json);
    size += json.length;
  }
  endBatch();
  const file = await replaceWhole(files, path.join(directory, LOG_NAME), async (fresh) => {
    let position = 0;
    for (const frame of frames) {
      await fresh.write(frame, position);
      position += frame.length;
    }
  });
  await file.close();
}
