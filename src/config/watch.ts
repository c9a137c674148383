/**
 * Watches the configuration's files and loads them anew when they change.
 *
 * It promises to notice whatever way a file is replaced (written in place, renamed over, a Kubernetes ConfigMap's
 * directory link swapped), to wait until a writer is done, and that a bad file only leads to a report: the
 * configuration that runs stays. Equal contents are no change.
 */
import { watch } from 'node:fs';
import { readFile, stat } from 'node:fs/promises';
import path from 'node:path';
import type { Environment } from './environment.ts';
import { type LoadedConfiguration, loadConfiguration } from './load.ts';

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
  readonly readFile: (file: string) => Promise<Uint8Array>;
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
  /** How the files looked when they were last read; at first not known, so the first look reads them. */
  let lastLook: string | null = null;
  let regionLook: string | null = null;
  let running: Promise<void> | null = null;
  let again = false;
  const closing = new AbortController();
  const { signal } = closing;
  let callOff: (() => void) | null = null;
  let endPause: (() => void) | null = null;
  const watches = new Map<string, () => void>();

  const lookAt = async (files: readonly string[]): Promise<string> =>
    (await Promise.all(files.map((one) => surroundings.look(one)))).join('\n');

  const pause = (): Promise<void> =>
    new Promise((resolve) => {
      const cancel = surroundings.after(SETTLE_MS, resolve);
      endPause = () => {
        cancel();
        resolve();
      };
    });

  /** How the files look once they have looked so twice; null when they look as at the last time. */
  const settle = async (files: readonly string[]): Promise<string | null> => {
    let before = await lookAt(files);
    if (before === lastLook) return null;
    for (let looks = 0; looks < MOST_LOOKS && !signal.aborted; looks++) {
      await pause();
      const after = await lookAt(files);
      if (after === before) break;
      before = after;
    }
    return before;
  };

  const lookOnce = async (): Promise<void> => {
    const settled = await settle(watchedFiles(current));
    if (settled === null || signal.aborted) return;
    lastLook = settled;
    try {
      const loaded = await loadConfiguration({ file, env, readFile: surroundings.readFile });
      const region = await lookAt(regionFiles(loaded));
      const same = loaded.digest === current.digest && (regionLook === null || region === regionLook);
      regionLook = region;
      if (signal.aborted || same) return;
      await onChange(loaded);
      current = loaded;
      watchDirectories();
    } catch (error) {
      if (!signal.aborted) onFault(error);
    }
  };

  const run = async (): Promise<void> => {
    callOff?.();
    do {
      again = false;
      await lookOnce();
    } while (again && !signal.aborted);
    running = null;
    if (!signal.aborted) callOff = surroundings.after(POLL_MS, () => void start());
  };

  /** Looks as soon as can be; the promise is over when a look that began after the call is. */
  const start = (): Promise<void> => {
    if (signal.aborted) return running ?? Promise.resolve();
    again = true;
    running ??= run();
    return running;
  };

  const watchDirectories = (): void => {
    const wanted = new Set(watchedFiles(current).map((one) => path.dirname(one)));
    for (const [directory, stop] of watches) {
      if (wanted.has(directory)) continue;
      stop();
      watches.delete(directory);
    }
    for (const directory of wanted) {
      if (!watches.has(directory))
        watches.set(
          directory,
          surroundings.watchDirectory(directory, () => void start()),
        );
    }
  };

  watchDirectories();
  void start();
  return {
    check: start,
    async close() {
      closing.abort();
      callOff?.();
      endPause?.();
      for (const stop of watches.values()) stop();
      await running;
    },
  };
}

function watchedFiles(loaded: LoadedConfiguration): string[] {
  return [...loaded.files, ...regionFiles(loaded)];
}

function regionFiles({ configuration }: LoadedConfiguration): string[] {
  return configuration.region === undefined ? [] : [configuration.region.database];
}

/** The real clock and file system. */
export const SYSTEM: WatchSurroundings = {
  after(milliseconds, run) {
    const timer = setTimeout(run, milliseconds).unref();
    return () => clearTimeout(timer);
  },
  async look(file) {
    try {
      // Links are followed, so a swapped link shows as another inode.
      const { dev, ino, size, mtimeNs, ctimeNs } = await stat(file, { bigint: true });
      return [dev, ino, size, mtimeNs, ctimeNs].join(' ');
    } catch (error) {
      return `missing: ${error instanceof Error && 'code' in error ? String(error.code) : 'unknown'}`;
    }
  },
  readFile: (file) => readFile(file),
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
