/**
 * Questions to Redis: scripts over the keys of one store, and what their answers say of the store itself.
 *
 * It promises that nothing but StoreError is thrown, whatever stands in Redis, and that the connection says so while the store is one
 * that this version can't read.
 */
import { performance } from 'node:perf_hooks';
import { StoreError } from '../store.ts';
import type { StoreCounters } from '../../telemetry/store-counters.ts';
import type { RedisConnection, RedisScript, RunOptions } from './redis-connection.ts';
import { FORMAT } from './redis-scripts.ts';

/** Large answers may take longer, in ms. */
export const LONG_TIME = 5000;

/** The keys of a store but for those of ended changes, by what stands in them. */
export interface RedisKeys {
  readonly meta: string;
  readonly documents: string;
  readonly commits: string;
  readonly replicas: string;
  readonly beats: string;
  readonly leader: string;
  readonly bases: string;
  readonly spans: string;
  readonly formats: string;
}

/** The parts of an answer that begins by `ok`; the first one of another answer with its detail. Rejects with StoreError. */
export type Ask = (
  script: RedisScript,
  keys: readonly string[],
  args: readonly (string | number)[],
  options?: RunOptions,
) => Promise<readonly unknown[]>;

export class RedisQuestions {
  readonly keys: RedisKeys;
  readonly connection: RedisConnection;
  readonly #counters: StoreCounters;
  /** The store's clock minus the monotonic one, at the least; null before it is known. In ms. */
  #offset: number | null = null;

  constructor(connection: RedisConnection, counters: StoreCounters) {
    this.connection = connection;
    this.#counters = counters;
    this.keys = {
      meta: connection.key('meta'),
      documents: connection.key('documents'),
      commits: connection.key('commits'),
      replicas: connection.key('replicas'),
      beats: connection.key('beats'),
      leader: connection.key('leader'),
      bases: connection.key('bases'),
      spans: connection.key('spans'),
      formats: connection.key('formats'),
    };
  }

  readonly ask: Ask = async (script, keys, args, options) => {
    const { connection } = this;
    const reply = await connection.run(script, keys, args, options);
    if (!Array.isArray(reply)) throw this.#corrupt('an answer that is none');
    const parts: readonly unknown[] = reply;
    if (parts[0] !== 'newer') {
      connection.unreadable(null);
      return parts;
    }
    const [code, message] = this.#whyUnreadable(String(parts[1]));
    this.#counters.commandFailed(code);
    connection.unreadable(message);
    throw new StoreError(code, message);
  };

  /** What the monotonic clock lacks to the store's, at the least, in ms: asked for where it is not known. Rejects with StoreError. */
  async offset(): Promise<number> {
    if (this.#offset !== null) return this.#offset;
    const reply = await this.connection.command('time', [], { writes: false });
    const [seconds, micros] = Array.isArray(reply) ? reply.map(Number) : [];
    return this.learnTime((seconds ?? NaN) * 1000 + (micros ?? 0) / 1000);
  }

  /** An answer just came and said `time`. It was that early at the least, so a deadline by it never ends too late. */
  learnTime(time: number): number {
    if (!Number.isFinite(time)) throw this.#corrupt('no clock');
    this.#offset = time - performance.now();
    return this.#offset;
  }

  /** Another server may answer from now on. */
  forgetTime(): void {
    this.#offset = null;
  }

  /** Of a store that answers `newer`. */
  #whyUnreadable(found: string): readonly [code: 'corrupt' | 'newer', message: string] {
    const { description } = this.connection;
    if (found === 'lost')
      return [
        'corrupt',
        `A part of the store ${description} is gone: somebody removed it, or Redis evicted it (its maxmemory-policy must be noeviction). A replica that knows what was in it puts it back; otherwise restore it from an export.`,
      ];
    if (found === 'broken')
      return [
        'corrupt',
        `The store ${description} is damaged: its key ${this.keys.meta} lacks the revision, or the format that can read it (both are whole numbers). Restore it from an export, or remove the keys under its prefix.`,
      ];
    return [
      'newer',
      `The store ${description} was written by a newer version of Serin, which this one can't read (format ${found}, this version reads up to ${FORMAT}). Use that version, or another store.prefix.`,
    ];
  }

  #corrupt(what: string): StoreError {
    const { description } = this.connection;
    return new StoreError('corrupt', `The store ${description} holds ${what}. Restore it from an export.`);
  }
}
