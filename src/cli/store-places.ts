/**
 * The stores that commands name: a directory, or a Redis. Reading one never changes it, and never makes one.
 *
 * `file:DIR`, the URL of a Redis, `env:NAME` for a variable that holds either, `config:FILE` for what a configuration says. The
 * latter two keep a password out of the list of processes.
 */
import { randomBytes } from 'node:crypto';
import { stat } from 'node:fs/promises';
import path from 'node:path';
import { DEFAULT_STORE_PREFIX } from '../config/store.ts';
import { loadConfiguration } from '../config/load.ts';
import { parseRedisUrl } from '../config/redis-url.ts';
import { readRegular } from '../files/regular-file.ts';
import { messageOf } from '../schema/thrown.ts';
import { lockDirectory } from '../store/file/directory-lock.ts';
import { createFileStore } from '../store/file/file-store.ts';
import { LOG_NAME } from '../store/file/write-ahead-log.ts';
import { importLog } from '../store/file/log-import.ts';
import { connectRedis } from '../store/redis/redis-connection.ts';
import { createRedisStore, type RedisStore } from '../store/redis/redis-store.ts';
import { StoreError } from '../store/store.ts';
import { NODE_FILES } from '../files/file-system.ts';
import { type WholeStore, wholeStore } from '../store/whole-store.ts';
import { StoreCounters } from '../telemetry/store-counters.ts';
import { CommandError, EXIT, UsageError } from './failure.ts';
import type { Surroundings } from './options.ts';

/** A replica that said something so lately is running, in ms. */
const RUNNING = 10_000;

export interface StorePlace {
  /** For people; without a password. */
  readonly description: string;
  /** All that it holds; null where there is no store. Rejects with StoreError. */
  read(): Promise<WholeStore | null>;
  /**
   * Puts all of that into it; false where there is something already. With `replace` that goes. Rejects with StoreError, or
   * with CommandError where somebody uses the store.
   */
  write(whole: WholeStore, replace: boolean): Promise<boolean>;
  close(): Promise<void>;
}

/** Throws UsageError; rejects with DocumentError where a configuration is wrong. */
export async function openStorePlace(
  option: string,
  text: string,
  prefix: string | undefined,
  { env, err }: Surroundings,
): Promise<StorePlace> {
  const warn = (message: string): void => err(`warning: ${message}\n`);
  const [, scheme = '', rest = ''] = /^([a-z+-]+):(.*)$/s.exec(text) ?? [];
  if (scheme === 'env') {
    const value = env[rest];
    if (value === undefined || value === '')
      throw new UsageError(`--${option}: the environment variable ${rest} is not set`);
    return openNamed(option, value, prefix, warn);
  }
  if (scheme === 'config') {
    const { configuration } = await loadConfiguration({ file: rest, env, readFile: readRegular });
    const { store } = configuration;
    return 'file' in store
      ? directoryPlace(store.file, warn)
      : redisPlace(option, store.redis, prefix ?? store.prefix, warn);
  }
  return openNamed(option, text, prefix, warn);
}

function openNamed(
  option: string,
  text: string,
  prefix: string | undefined,
  warn: (message: string) => void,
): StorePlace {
  if (text.startsWith('file:')) return directoryPlace(path.resolve(text.slice(5)), warn);
  if (/^rediss?([+-]|:)/.test(text)) return redisPlace(option, text, prefix ?? DEFAULT_STORE_PREFIX, warn);
  throw new UsageError(
    `--${option} is file:DIR, the URL of a Redis such as redis://127.0.0.1:6379/0, env:NAME or config:FILE`,
  );
}

function directoryPlace(directory: string, warn: (message: string) => void): StorePlace {
  const files = NODE_FILES;
  return {
    description: `the directory ${directory}`,
    async read() {
      if (!(await isThere(path.join(directory, LOG_NAME)))) return null;
      // By a clock at the very beginning, every commit is recent and none is dropped.
      const store = createFileStore({ directory, wallNow: () => 0, warn });
      try {
        return wholeStore('', await store.load(), warn);
      } finally {
        await store.close();
      }
    },
    async write(whole, replace) {
      const former = replace ? null : await this.read();
      if (former !== null && former.revision > 0) return false;
      try {
        await files.makeDirectory(directory);
      } catch (error) {
        throw unwritable(directory, error);
      }
      const unlock = await lockDirectory(directory);
      try {
        await importLog(files, directory, whole);
      } catch (error) {
        throw unwritable(directory, error);
      } finally {
        unlock();
      }
      return true;
    },
    async close() {},
  };
}

function redisPlace(
  option: string,
  url: string,
  prefix: string,
  warn: (message: string) => void,
): StorePlace {
  const target = parseRedisUrl(url);
  if (typeof target === 'string') throw new UsageError(`--${option}: ${target}`);
  const counters = new StoreCounters();
  const connection = connectRedis({ url, prefix, counters });
  const store: RedisStore = createRedisStore({ connection, counters, random: randomBytes });
  return {
    description: `${connection.description} under the prefix ${prefix}`,
    async read() {
      const { id } = await store.sync(null);
      return id === '' ? null : wholeStore(id, await store.load(), warn);
    },
    async write({ id, revision, documents, history }, replace) {
      const state = { revision, documents, recent: history };
      if (!replace) return store.restore(id, state);
      const running = (await store.sync(null)).replicas.filter(({ age }) => age < RUNNING);
      if (running.length > 0) {
        const names = running.map(({ name }) => name).join(', ');
        const message = `replicas use ${this.description}: ${names}. They would put back what they know; stop them first`;
        throw new CommandError(message, EXIT.refused);
      }
      // Under an id of its own, so that a replica which remembers the former contents does not take it for the same.
      await store.replace('', state);
      return true;
    },
    close: () => store.close(),
  };
}

async function isThere(file: string): Promise<boolean> {
  return stat(file).then(
    () => true,
    () => false,
  );
}

function unwritable(directory: string, cause: unknown): StoreError {
  if (cause instanceof StoreError) return cause;
  return new StoreError('unavailable', `The directory ${directory} cannot be written: ${messageOf(cause)}.`, {
    cause,
  });
}
