/**
 * How changes have ended, on this replica's own disk, so that a final status survives a restart without a shared store. What a record
 * says is its writer's concern.
 *
 * It promises that what was recorded is on the disk when `append` resolves, and that it can be read for a day at least. There are
 * two files: after a day the newer one takes the place of the older one, so nothing is ever written anew.
 */
import { NODE_FILES, type StoreFiles } from '../../files/file-system.ts';
import { messageOf } from '../../schema/thrown.ts';
import { HISTORY_TIME } from '../kept-history.ts';
import { StoreError } from '../store.ts';
import { createLineLog } from './line-log.ts';

const NAME = 'serin-finals';

export interface FinalLog {
  /** All records, oldest first. It must come first. Rejects with StoreError where a file can't be used. */
  read(): Promise<readonly string[]>;
  /** On the disk when it resolves. Rejects with StoreError `unavailable`. */
  append(records: readonly string[]): Promise<void>;
  close(): Promise<void>;
}

export interface FinalLogOptions {
  /** The newer file; the older one has `.1` behind it. */
  readonly file: string;
  /** Milliseconds since 1970. */
  readonly wallNow: () => number;
  readonly files?: StoreFiles;
}

export function createFinalLog({ file, wallNow, files = NODE_FILES }: FinalLogOptions): FinalLog {
  const older = `${file}.1`;
  let log = createLineLog({ file, files, name: NAME });
  /** When the first record of the newer file was written; null while it is empty. */
  let since: number | null = null;
  let turning: Promise<void> | null = null;

  async function turn(): Promise<void> {
    await log.close();
    try {
      await files.rename(file, older);
    } catch (error) {
      throw new StoreError('unavailable', `The file ${file} cannot be renamed: ${messageOf(error)}.`, {
        cause: error,
      });
    } finally {
      log = createLineLog({ file, files, name: NAME });
      await log.open();
    }
    since = null;
  }

  return {
    async read() {
      const newer = (await log.open()).lines.map(split);
      since = newer[0]?.at ?? null;
      const former = createLineLog({ file: older, files, name: NAME });
      try {
        const { lines } = await former.open();
        return [...lines.map(split), ...newer].map(({ record }) => record);
      } finally {
        await former.close();
      }
    },
    async append(records) {
      const at = wallNow();
      if (since !== null && at - since > HISTORY_TIME) {
        turning ??= turn().finally(() => {
          turning = null;
        });
      }
      await turning;
      since ??= at;
      await log.append(records.map((record) => `${at} ${record}`));
    },
    close: () => log.close(),
  };
}

function split(line: string): { readonly at: number; readonly record: string } {
  const space = line.indexOf(' ');
  return { at: Number(line.slice(0, space)), record: line.slice(space + 1) };
}
