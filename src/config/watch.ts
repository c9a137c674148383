/**
 * Watches the configuration's files and loads them anew when they change.
 *
 * It promises to notice whatever way a file is replaced (written in place, renamed over, a Kubernetes ConfigMap's
 * directory link swapped), to wait until a writer is done, and that a bad file only leads to a report: the
 * configuration that runs stays. Equal contents are no change.
 */
import { watch } from 'node:fs';
import { stat } from 'node:fs/promises';
import path from 'node:path';
import { codeOf } from '../schema/thrown.ts';
import type { Environment } from './environment.ts';
import { type LoadedConfiguration, loadConfiguration } from './load.ts';
import { type ReadFile, readRegular } from '../files/regular-file.ts';
import { after, detached, guarded, survive } from '../runtime/guard.ts';

/** How often files are looked at, where the system tells of no change (network file systems). */
const POLL_MS = 2000;

/** How long the files must look the same before they are read: editors and copies write in several steps. */
const SETTLE_MS = 200;

/** A file that never settles is read after this many looks all the same. */
const MOST_LOOKS = 50;

/** What the watcher needs of its surroundings; tests put their own in its place. */
export interface WatchSurroundings {
  /** Calls `run` once after that many milliseconds; the function it returns calls that off. */
  readonly after: (milliseconds: number, run: () => void) => () => void;
  /** Something that differs once a file was written or replaced. Never rejects. */
  readonly look: (file: string) => Promise<string>;
  readonly readFile: ReadFile;
  /** Calls `changed` when something in a directory may have changed, where the system tells. */
  readonly watchDirectory: (directory: string, changed: () => void) => () => void;
}

export interface WatchOptions {
  readonly file: string;
  readonly env: Environment;
  /** What runs now. */
  readonly current: LoadedConfiguration;
  /**
   * A new configuration that is right; also called when only the region database changed. What it rejects with is
   * reported, and nothing is tried again until the files change.
   */
  readonly onChange: (loaded: LoadedConfiguration) => Promise<void>;
  /** Why a new configuration does not run: a DocumentError, or what `onChange` rejected with. */
  readonly onFault: (error: unknown) => void;
  readonly surroundings?: WatchSurroundings;
}

export interface ConfigurationWatch {
  /** Looks now, as on a signal to reload. Resolves when that look, and what it led to, is over. */
  check(): Promise<void>;
  /** Resolves when nothing more will be called. */
  close(): Promise<void>;
}

/** Begins to watch. `onChange` and `onFault` are never called while `onChange` still runs. */
export function watchConfiguration(options: WatchOptions): ConfigurationWatch {
  const { file, env, onChange, onFault, surroundings = SYSTEM } = options;
  let current = options.current;
  /** How each file looked when it was last read; at first not known, so the first look reads them all. */
  let seen: ReadonlyMap<string, string> = new Map();
  let running: Promise<void> | null = null;
  let again = false;
  const closing = new AbortController();
  const { signal } = closing;
  let callOff: (() => void) | null = null;
  let endPause: (() => void) | null = null;
  const watches = new Map<string, () => void>();

  /** The files of what runs, and those that the last load asked for: it may have failed for want of one. */
  const watched = (): Set<string> => new Set([...current.files, ...regionFiles(current), ...seen.keys()]);

  const look = async (): Promise<Map<string, string>> => {
    const files = [...watched()];
    const looks = await Promise.all(files.map((one) => surroundings.look(one)));
    return new Map(files.map((one, index) => [one, looks[index] ?? '']));
  };

  const pause = (): Promise<void> =>
    new Promise((resolve) => {
      const cancel = surroundings.after(SETTLE_MS, resolve);
      endPause = () => {
        cancel();
        resolve();
      };
    });

  /** How the files look once they have looked so twice; null when they look as they did when they were read. */
  const settle = async (): Promise<Map<string, string> | null> => {
    let before = await look();
    if (alike(before, seen)) return null;
    for (let looks = 0; looks < MOST_LOOKS && !signal.aborted; looks++) {
      await pause();
      const after = await look();
      if (alike(before, after)) break;
      before = after;
    }
    return before;
  };

  const lookOnce = async (): Promise<void> => {
    const settled = await settle();
    if (settled === null || signal.aborted) return;
    const asked = new Map<string, string>();
    const readFile: ReadFile = async (one, most) => {
      // Looked at before it is read, so that what changes from now on is a change.
      asked.set(one, settled.get(one) ?? (await surroundings.look(one)));
      return surroundings.readFile(one, most);
    };
    try {
      const loaded = await loadConfiguration({ file, env, readFile });
      let same = loaded.digest === current.digest;
      for (const one of regionFiles(loaded)) {
        asked.set(one, settled.get(one) ?? (await surroundings.look(one)));
        if (seen.has(one) && seen.get(one) !== asked.get(one)) same = false;
      }
      if (signal.aborted || same) return;
      await onChange(loaded);
      current = loaded;
    } catch (error) {
      if (!signal.aborted) onFault(error);
    } finally {
      seen = new Map([...settled, ...asked]);
      watchDirectories();
    }
  };

  const run = async (): Promise<void> => {
    callOff?.();
    do {
      again = false;
      try {
        await lookOnce();
      } catch (error) {
        // The next look is due all the same.
        survive('looking at the configuration', error);
      }
    } while (again && !signal.aborted);
    running = null;
    if (!signal.aborted)
      callOff = surroundings.after(POLL_MS, () => detached('looking at the configuration', start()));
  };

  /** Looks as soon as can be; the promise is over when a look that began after the call is. */
  const start = (): Promise<void> => {
    if (signal.aborted) return running ?? Promise.resolve();
    again = true;
    running ??= run();
    return running;
  };

  const watchDirectories = (): void => {
    const wanted = new Set(signal.aborted ? [] : [...watched()].map((one) => path.dirname(one)));
    for (const [directory, stop] of watches) {
      if (wanted.has(directory)) continue;
      stop();
      watches.delete(directory);
    }
    for (const directory of wanted) {
      if (watches.has(directory)) continue;
      const stop = surroundings.watchDirectory(directory, () =>
        detached('looking at the configuration', start()),
      );
      watches.set(directory, stop);
    }
  };

  watchDirectories();
  detached('looking at the configuration', start());
  return {
    check: start,
    async close() {
      closing.abort();
      callOff?.();
      endPause?.();
      watchDirectories();
      await running;
    },
  };
}

function alike(a: ReadonlyMap<string, string>, b: ReadonlyMap<string, string>): boolean {
  return a.size === b.size && [...a].every(([file, look]) => b.get(file) === look);
}

function regionFiles({ configuration }: LoadedConfiguration): string[] {
  return configuration.region === undefined ? [] : [configuration.region.database];
}

/** The real clock and file system. */
export const SYSTEM: WatchSurroundings = {
  after(milliseconds, run) {
    const timer = after(milliseconds, guarded('looking at the configuration', run)).unref();
    return () => clearTimeout(timer);
  },
  async look(file) {
    try {
      // Links are followed, so a swapped link shows as another inode.
      const { dev, ino, size, mtimeNs, ctimeNs } = await stat(file, { bigint: true });
      return [dev, ino, size, mtimeNs, ctimeNs].join(' ');
    } catch (error) {
      return `missing: ${codeOf(error) || 'unknown'}`;
    }
  },
  readFile: readRegular,
  watchDirectory(directory, changed) {
    try {
      const watcher = watch(directory, { persistent: false }, changed);
      // Looking from time to time goes on without it.
      watcher.on('error', () => watcher.close());
      return () => watcher.close();
    } catch {
      return () => {};
    }
  },
};
