/**
 * Clients of ioredis as the store wants them: nothing waits in a queue, nothing is sent again by itself, no attempt to connect takes
 * longer than a command may, and between attempts there is a pause, whatever kind of Redis it is.
 */
import { Cluster, Redis } from 'ioredis';
import type { RedisTarget } from '../../config/redis-url.ts';
import { afterAwake } from '../../runtime/awake-timer.ts';
import { guarded } from '../../runtime/guard.ts';

/** The wait before the nth attempt to connect again, in ms: doubled from the first up to the last, and up to a half less. */
const FIRST_WAIT = 50;
const LAST_WAIT = 500;

/** How often a Redis that is still loading its data is asked whether it has, in ms; a second unless said. */
const LOADING_WAIT = 50;

/** Ends a connection that is made but never gets ready, as one to a server that is paused. */
function watchHandshake(client: Redis, commandTime: number): void {
  let cancel = (): void => {};
  client.on('connect', () => {
    cancel();
    cancel = afterAwake(
      commandTime,
      guarded('connecting to Redis', () => client.disconnect(true)),
    );
  });
  client.on('ready', () => cancel());
  client.on('close', () => cancel());
}

interface Making {
  readonly commandTime: number;
  readonly random: () => number;
}

/** The connection that commands go over. It connects at once, and again for ever. */
export function makeClient(target: RedisTarget, making: Making): Redis | Cluster {
  if (target.kind !== 'cluster') return makeSingle(target, making);
  const cluster = new Cluster([...target.addresses], {
    lazyConnect: true,
    enableOfflineQueue: false,
    slotsRefreshTimeout: making.commandTime,
    clusterRetryStrategy: (attempt) => waitBefore(attempt, making),
    redisOptions: commonOptions(target, making),
    // A command is tried again within its time only; the errors that pass are those of a failover.
    maxRedirections: 8,
  });
  cluster.on('+node', (node: Redis) => watchHandshake(node, making.commandTime));
  // It would choose nodes for a subscription in a loop without a pause while they refuse connections.
  const { subscriber } = cluster as unknown as { subscriber: { start: () => void } };
  subscriber.start = () => {};
  cluster.connect().catch(() => {});
  return cluster;
}

/** The connection that hints come over. What is published reaches all nodes of a Cluster, so a connection to any of them will do. */
export function makeSubscriber(target: RedisTarget, making: Making): Redis {
  if (target.kind !== 'cluster') return makeSingle(target, making);
  const { addresses } = target;
  const subscriber = makeSingle(target, making, (attempt) => {
    Object.assign(subscriber.options, addresses[attempt % addresses.length]);
  });
  return subscriber;
}

/** One connection; `onRetry` is called before it is made again. */
function makeSingle(target: RedisTarget, making: Making, onRetry?: (attempt: number) => void): Redis {
  const { kind, tls, addresses, master, sentinelPassword } = target;
  const { commandTime } = making;
  const retryStrategy = (attempt: number): number => {
    onRetry?.(attempt);
    return waitBefore(attempt, making);
  };
  const options = { ...commonOptions(target, making), enableOfflineQueue: false, retryStrategy };
  const [first] = addresses;
  const client =
    kind === 'sentinel'
      ? new Redis({
          ...options,
          sentinels: [...addresses],
          name: master,
          role: 'master',
          sentinelCommandTimeout: commandTime,
          sentinelRetryStrategy: retryStrategy,
          ...(sentinelPassword === null ? {} : { sentinelPassword }),
          ...(tls ? { enableTLSForSentinelMode: true, sentinelTLS: {} } : {}),
        })
      : new Redis({ ...options, host: first?.host ?? '', port: first?.port ?? 0 });
  watchHandshake(client, commandTime);
  return client;
}

function commonOptions({ tls, database, username, password }: RedisTarget, { commandTime }: Making) {
  return {
    db: database,
    ...(username === null ? {} : { username }),
    ...(password === null ? {} : { password }),
    ...(tls ? { tls: {} } : {}),
    connectionName: 'serin',
    connectTimeout: commandTime,
    maxLoadingRetryTime: LOADING_WAIT,
    // What was sent is never sent again by itself, and nothing waits for a connection.
    autoResendUnfulfilledCommands: false,
    autoResubscribe: false,
    maxRetriesPerRequest: 0,
    protocol: 2,
  } as const;
}

function waitBefore(attempt: number, { random }: Making): number {
  const longest = Math.min(LAST_WAIT, FIRST_WAIT * 2 ** Math.min(attempt - 1, 10));
  return longest * (1 - random() / 2);
}
