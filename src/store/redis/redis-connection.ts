/**
 * The connection to a Redis: one server, servers that Sentinels watch, or a Cluster.
 *
 * It promises that a call ends within its time whatever Redis does, that nothing waits in a queue for a connection to come back,
 * that it connects again by itself for ever, and that no error holds the password. What a command did whose answer was
 * lost is not known: whoever sends a write makes it safe to send again.
 */
import { createHash } from 'node:crypto';
import { performance } from 'node:perf_hooks';
import type { Cluster, Redis } from 'ioredis';
import { codeOf, messageOf } from '../../schema/thrown.ts';
import type { StoreCondition, StoreCounters } from '../../telemetry/store-counters.ts';
import { makeClient, makeSubscriber } from './redis-client.ts';
import { type Trouble, troubleOf } from './redis-trouble.ts';
import { describeRedis, parseRedisUrl, type RedisTarget } from '../../config/redis-url.ts';
import { StoreError } from '../store.ts';
import { afterAwake } from '../../runtime/awake-timer.ts';
import { after, detached, every, guarded, survive } from '../../runtime/guard.ts';

/** How long one command may take, in ms, where its caller says nothing. */
const COMMAND_TIME = 1000;

/** A server that takes no writes may have a new master elsewhere: after so long it is looked for, in ms. */
const ASK_SENTINELS = 500;
const ASK_NAME = 10_000;

/** How often the subscribed connection is asked for a sign of life, in ms. */
const SIGN_OF_LIFE = 5000;

/** It took the connection and has not answered on it yet. */
const SILENT: Trouble = {
  ...troubleOf('Command timed out'),
  detail: 'it takes connections but does not answer yet: it is loading its data, or it hangs',
};

export interface RedisConnectionOptions {
  /** Throws StoreError `unreadable` where it is no URL of a Redis. */
  readonly url: string;
  /** All keys begin by it. */
  readonly prefix: string;
  readonly counters: StoreCounters;
  /** In ms; how long one command may take. */
  readonly commandTime?: number;
  /** 0 to 1, for the jitter; Math.random unless said. */
  readonly random?: () => number;
}

/** A part of a command: text in UTF-8, or bytes. */
export type RedisArgument = string | number | Buffer;

export interface RedisScript {
  readonly lua: string;
  readonly sha: string;
  /** Whether it changes anything. */
  readonly writes: boolean;
}

export interface RunOptions {
  /** In ms. */
  readonly timeout?: number;
  /** How long to wait for a connection that is not there at the moment, in ms. */
  readonly patience?: number;
  /** Answers come as buffers. */
  readonly binary?: boolean;
  /** Called when it is about to be sent; before that it has done nothing for sure. */
  readonly onSend?: () => void;
}

export interface RedisConnection {
  /** The URL without what is secret. */
  readonly description: string;
  /** The key of that name. All keys of a prefix share one hash tag, so that a Cluster keeps them in one place. */
  key(name: string): string;
  /** Runs a script. Rejects with StoreError. */
  run(
    script: RedisScript,
    keys: readonly string[],
    args: readonly RedisArgument[],
    options?: RunOptions,
  ): Promise<unknown>;
  /** Sends one command; `writes` says whether it changes anything. Rejects with StoreError. */
  command(
    name: string,
    args: readonly RedisArgument[],
    options: RunOptions & { readonly writes: boolean },
  ): Promise<unknown>;
  /** Calls `listener` with each message on the channel; null: messages may have been lost. */
  subscribe(channel: string, listener: (message: string | null) => void): void;
  readonly condition: StoreCondition;
  readonly trouble: string | null;
  onCondition(listener: (condition: StoreCondition, trouble: string | null) => void): void;
  /** What is stored can't be read, or, with null, it can again. */
  unreadable(why: string | null): void;
  close(): void;
}

export function redisScript(lua: string, { writes }: { readonly writes: boolean }): RedisScript {
  return { lua, sha: createHash('sha1').update(lua).digest('hex'), writes };
}

/** Begins to connect, and returns at once. */
export function connectRedis(options: RedisConnectionOptions): RedisConnection {
  const { counters, commandTime = COMMAND_TIME, random = Math.random } = options;
  const target = targetOf(options.url);
  const description = describeRedis(target);
  const client = makeClient(target, { commandTime, random });
  const subscriber = makeSubscriber(target, { commandTime, random });

  let condition: StoreCondition = 'unreachable';
  let trouble: string | null = `${description} is not connected yet`;
  /** What went wrong with the connection last; the reason for which there is none. */
  let connecting: Trouble | null = null;
  let everReady = false;
  let closed = false;
  let lookTimer: NodeJS.Timeout | undefined;
  const conditionListeners: ((condition: StoreCondition, trouble: string | null) => void)[] = [];
  const channels = new Map<string, (message: string | null) => void>();

  function turn(next: StoreCondition, why: string | null): void {
    if (closed || (condition === next && trouble === why)) return;
    const same = condition === next;
    condition = next;
    trouble = why;
    if (!same) for (const listener of conditionListeners) listener(next, why);
  }

  function failed(found: Trouble): StoreError {
    counters.commandFailed(found.reason);
    const message = `The store ${description} can't be used: ${found.detail}.`;
    if (found.condition !== null) turn(found.condition, message);
    return new StoreError(found.code, message);
  }

  client.on('error', (error: Error) => {
    connecting = connectionTrouble(error);
    if (connecting.condition !== null)
      turn(connecting.condition, `The store ${description} can't be used: ${connecting.detail}.`);
  });
  client.on('connect', () => {
    connecting = SILENT;
  });
  client.on('ready', () => {
    if (everReady) counters.reconnects++;
    everReady = true;
    connecting = null;
    // Whether it takes writes shows with the next one.
    if (condition === 'unreachable' || condition === 'denied') turn('available', null);
  });
  client.on('close', () => {
    if (condition === 'available')
      turn('unreachable', `The store ${description} can't be used: no connection.`);
  });
  subscriber.on('ready', () => {
    for (const channel of channels.keys()) detached('subscribing', listen(channel));
  });
  subscriber.on('message', (channel: string, message: string) => {
    try {
      channels.get(channel)?.(message);
    } catch (error) {
      survive('hints of the store', error);
    }
  });
  subscriber.on('error', () => {});
  const alive = every(
    SIGN_OF_LIFE,
    guarded('asking Redis for a sign of life', () => detached('asking Redis for a sign of life', sign())),
  ).unref();

  async function listen(channel: string): Promise<void> {
    try {
      await within(commandTime, subscriber.subscribe(channel));
      channels.get(channel)?.(null);
    } catch {
      // It is tried again with the next connection, which a missing sign of life brings about.
      reconnect(subscriber);
    }
  }

  /** A connection that only listens would not notice that the other end is gone. */
  async function sign(): Promise<void> {
    if (subscriber.status !== 'ready') return;
    try {
      await within(commandTime, subscriber.ping());
    } catch {
      reconnect(subscriber);
    }
  }

  /** The master may have moved: Sentinels, or the server's name, are asked anew. */
  function lookForMaster(): void {
    if (target.kind === 'cluster') return;
    lookTimer ??= after(
      target.kind === 'sentinel' ? ASK_SENTINELS : ASK_NAME,
      guarded('looking for the master', () => {
        lookTimer = undefined;
        if (condition === 'readOnly') reconnect(client);
      }),
    ).unref();
  }

  async function perform(
    writes: boolean,
    { timeout = commandTime, patience = everReady ? 0 : commandTime, onSend }: RunOptions,
    send: () => Promise<unknown>,
  ): Promise<unknown> {
    if (closed) throw new StoreError('unavailable', `The store ${description} is closed.`);
    if (client.status !== 'ready' && !(await becomesReady(client, patience)))
      throw failed(connecting ?? troubleOf('Connection is closed'));
    const startedAt = performance.now();
    try {
      onSend?.();
      const reply = await within(timeout, send());
      if (writes) {
        if (condition !== 'unreadable') turn('available', null);
      } else if (condition === 'unreachable' || condition === 'denied') turn('available', null);
      return reply;
    } catch (error) {
      const found = troubleOf(messageOf(error));
      // Whatever is sent after it on this connection would wait behind it.
      if (found.reason === 'timeout') reconnect(client);
      if (found.reason === 'read_only') lookForMaster();
      throw failed(found);
    } finally {
      counters.command((performance.now() - startedAt) / 1000);
    }
  }

  const send = (name: string, args: readonly RedisArgument[], binary: boolean): Promise<unknown> =>
    binary ? client.callBuffer(name, ...args) : client.call(name, ...args);

  return {
    description,
    key: (name) => `{${options.prefix}}:${name}`,
    run(script, keys, args, runOptions = {}) {
      const { binary = false } = runOptions;
      return perform(script.writes, runOptions, async () => {
        try {
          return await send('evalsha', [script.sha, keys.length, ...keys, ...args], binary);
        } catch (error) {
          // Nothing was run: the server does not know it yet.
          if (!(error instanceof Error) || !error.message.includes('NOSCRIPT')) throw error;
          return await send('eval', [script.lua, keys.length, ...keys, ...args], binary);
        }
      });
    },
    command: (name, args, runOptions) =>
      perform(runOptions.writes, runOptions, () => send(name, args, runOptions.binary ?? false)),
    subscribe(channel, listener) {
      channels.set(channel, listener);
      if (subscriber.status === 'ready') detached('subscribing', listen(channel));
    },
    get condition() {
      return condition;
    },
    get trouble() {
      return trouble;
    },
    onCondition: (listener) => void conditionListeners.push(listener),
    unreadable(why) {
      if (why !== null) turn('unreadable', why);
      else if (condition === 'unreadable') turn('available', null);
    },
    close() {
      closed = true;
      clearInterval(alive);
      clearTimeout(lookTimer);
      client.disconnect();
      subscriber.disconnect();
    },
  };
}

function targetOf(url: string): RedisTarget {
  const target = parseRedisUrl(url);
  if (typeof target === 'string') throw new StoreError('unreadable', `store.redis: ${target}.`);
  return target;
}

/** Drops the connection and makes a new one; what is under way on it fails. */
function reconnect(client: Redis | Cluster): void {
  if (client.status === 'ready') client.disconnect(true);
}

function connectionTrouble(error: Error): Trouble {
  const inner =
    'lastNodeError' in error && error.lastNodeError instanceof Error ? error.lastNodeError : error;
  const code = codeOf(inner);
  const found = troubleOf(`${inner.message} ${code}`);
  if (found.condition !== null && found.reason !== 'disconnected') return found;
  const plain = found.condition === null ? troubleOf('Connection is closed') : found;
  return code === '' ? plain : { ...plain, detail: `${plain.detail} (${code})` };
}

/** True when it is connected within `patience` ms. */
async function becomesReady(client: Redis | Cluster, patience: number): Promise<boolean> {
  if (patience <= 0) return false;
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const ready = (): void => resolve(true);
  const timer = after(
    patience,
    guarded('waiting for Redis', () => resolve(false)),
  );
  client.once('ready', ready);
  try {
    return await promise;
  } finally {
    clearTimeout(timer);
    client.off('ready', ready);
  }
}

/** Rejects when it takes longer than `time` ms; what it comes to then is nobody's concern. */
async function within<T>(time: number, work: Promise<T>): Promise<T> {
  const { promise, reject } = Promise.withResolvers<never>();
  const cancel = afterAwake(
    time,
    guarded('a command', () => reject(new Error('Command timed out'))),
  );
  work.catch(() => {});
  try {
    return await Promise.race([work, promise]);
  } finally {
    cancel();
  }
}
