/**
 * The worker pool: the main thread's side of the data plane.
 *
 * Promise: each worker gets every snapshot in order; one that dies or hangs is ended and replaced while its siblings
 * go on; its counters live on in its replacement. It never lets a worker share a port with a stranger, unless the
 * configuration says so: the port is probed without SO_REUSEPORT before the first worker listens on it.
 */
import { randomBytes } from 'node:crypto';
import { createServer } from 'node:net';
import type { Workers } from '../contract/workers.ts';
import { SERVICE_COUNTER_BYTES, ServiceCounters } from '../telemetry/service-counters.ts';
import { type WorkerCounters } from '../telemetry/worker-counters.ts';
import type { LatchFigures } from '../telemetry/metrics-source.ts';
import { type ConnectionLimits, planDescriptors } from '../runtime/descriptors.ts';
import { after, detached, guarded } from '../runtime/guard.ts';
import { blocksOf, type ReplicaBlocks } from '../upstream/shared-blocks.ts';
import { freshnessMemory, setFreshUntil, sharedNow } from './freshness.ts';
import { createLatchKeeper, type HeldLatches, type LatchNote } from '../latches/latch-keeper.ts';
import type { ServiceBlocks, WorkerStart } from './messages.ts';
import { createSilence } from './silence.ts';
import { type PoolLog, WorkerSlot } from './worker-slot.ts';
import type { Snapshot } from '../contract/snapshot.ts';
import type { EndpointAddress } from '../contract/endpoint-address.ts';
import { createUpstreamMemory } from './upstream-memory.ts';

export interface WorkerPoolOptions {
  readonly size: number;
  readonly host: string;
  /** 0 takes a free one. */
  readonly port: number;
  /** Where TLS is spoken, or null. */
  readonly tls: EndpointAddress | null;
  /** Another process of this user may listen there too: the ports are not probed. */
  readonly sharePort: boolean;
  readonly logLevel: WorkerStart['logLevel'];
  readonly accessLog: WorkerStart['accessLog'];
  readonly log: PoolLog;
  /** Milliseconds since 1970. */
  readonly wallNow: () => number;
  /** Descriptors that this process may have open; null: no limit, or unknown. */
  readonly descriptors: number | null;
  /** An awake clock, in ms: time for which this process was stopped is nobody's silence. */
  readonly monotonicNow: () => number;
  /** A worker that has not given its heartbeat for this long is replaced, in ms. */
  readonly hangTime: number;
  /** Latches of header identities that are kept at most. */
  readonly latchLimit: number;
}

export interface WorkerPool extends Workers {
  readonly port: number;
  /** 0: TLS is not spoken. */
  readonly tlsPort: number;
  /** Starts the workers with the snapshot that was last applied; rejects when one can't listen. Call once, after `apply`. */
  start(): Promise<void>;
  /** The snapshot that was last applied, or null before the first. */
  readonly snapshot: Snapshot | null;
  /** Tells the workers whether the process is short of memory: while it is, they take no new work. */
  shortOfMemory(short: boolean): void;
  /** The latches of header identities, as the other replicas and the store need them. */
  readonly latches: HeldLatches;
  latchFigures(): LatchFigures;
  /** Replaces workers that hang, and clears what is over. Call it every second or so. */
  checkHeartbeats(): void;
  /** Makes new keys for TLS session tickets, so that old ones say nothing of what was recorded. Call it twice a day or so. */
  rotateTicketKeys(): void;
  readonly restarts: number;
  /** The limits that hold: what the snapshot says, or what descriptors allow. */
  limits(): ConnectionLimits;
  counters(): readonly { readonly index: number; readonly counters: WorkerCounters }[];
  /** The blocks of a service, one a worker, or none when it is unknown. */
  serviceCounters(service: string): readonly ServiceCounters[];
  /** What the threads share about a service's endpoints, in the order of the snapshot; null when it is unknown. */
  upstreamBlocks(service: string): ReplicaBlocks | null;
  /**
   * Stops accepting and waits until running requests are done, at most `grace` ms; connections without one may wait `idle` ms
   * for another.
   */
  drain(grace: number, idle: number): Promise<void>;
  /** Ends all workers at once. */
  close(): Promise<void>;
}

/** A name, a key for HMAC and one for AES, 16 bytes each. */
const TICKET_KEY_BYTES = 48;

const UNLIMITED: ConnectionLimits = {
  maxConnections: Number.POSITIVE_INFINITY,
  maxRequests: Number.POSITIVE_INFINITY,
};

export async function createWorkerPool(options: WorkerPoolOptions): Promise<WorkerPool> {
  const { size, host, log, wallNow } = options;
  const freePort = async (address: EndpointAddress): Promise<number> =>
    options.sharePort && address.port !== 0 ? address.port : probePort(address.host, address.port);
  const port = await freePort(options);
  const tls = options.tls === null ? null : { ...options.tls, port: await freePort(options.tls) };
  /** Made anew with each start: tickets of a former process are worth a full handshake. */
  let ticketKeys = randomBytes(TICKET_KEY_BYTES);
  const blocks = new Map<string, SharedArrayBuffer[]>();
  const upstreams = createUpstreamMemory(size);
  const latches = createLatchKeeper(options.latchLimit, size);
  const latchListeners: ((batch: readonly LatchNote[]) => void)[] = [];
  const listeners: ((index: number, revision: number) => void)[] = [];
  let snapshot: Snapshot | null = null;
  let sequence = 0;
  let restarts = 0;
  let stopping = false;
  let onDrained: (() => void) | null = null;
  const silence = createSilence(size, options.monotonicNow, options.hangTime);
  const slots = Array.from(
    { length: size },
    (_, index) =>
      new WorkerSlot({
        index,
        log,
        silence,
        startOf,
        isStopping: () => stopping,
        onDrained: () => onDrained?.(),
        onApplied: (one, revision) => listeners.forEach((listener) => listener(one, revision)),
        onLatches(batch) {
          latches.settle(batch);
          for (const listener of latchListeners) listener(batch);
        },
        onEnded: (one) => latches.workerEnded(one),
        onReplaced() {
          restarts += 1;
        },
      }),
  );

  const allocate = (services: Snapshot['services']): void => {
    upstreams.allocate(services);
    for (const { name } of services) {
      if (blocks.has(name)) continue;
      blocks.set(
        name,
        slots.map(() => new SharedArrayBuffer(SERVICE_COUNTER_BYTES)),
      );
    }
  };

  let plan = planDescriptors(options.descriptors, size, UNLIMITED);
  const serviceBlocks = (): ServiceBlocks => Object.fromEntries(blocks);
  const freshUntil = freshnessMemory();
  const memoryShort = new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT);

  const upstreamsOf = (index: number): WorkerStart['upstreamBlocks'] =>
    Object.fromEntries(
      (snapshot?.services ?? []).map(({ name }) => [name, blocksOf(upstreams.of(name)!, index)]),
    );

  function startOf({ index }: WorkerSlot): WorkerStart {
    return {
      index,
      host,
      port,
      tls,
      ticketKeys,
      snapshot: snapshot!,
      sequence,
      workerCounters: slots.map(({ buffer }) => buffer),
      memoryShort,
      freshUntil,
      lingering: plan.lingering,
      serviceCounters: serviceBlocks(),
      latchMemory: latches.memory,
      latchScopes: latches.scopes,
      upstreamBlocks: upstreamsOf(index),
      logLevel: options.logLevel,
      accessLog: options.accessLog,
    };
  }

  return {
    size,
    port,
    tlsPort: tls?.port ?? 0,
    get restarts() {
      return restarts;
    },

    get snapshot() {
      return snapshot;
    },

    async start() {
      if (snapshot === null) throw new Error('a worker pool starts after its first snapshot');
      await Promise.all(
        slots.map(
          (slot) =>
            new Promise<void>((resolve, reject) => {
              slot.begin((error) => (error === null ? resolve() : reject(error)));
            }),
        ),
      );
    },

    apply(next) {
      plan = planDescriptors(options.descriptors, size, next.proxy);
      const { maxConnections, maxRequests } = plan;
      snapshot = { ...next, proxy: { ...next.proxy, maxConnections, maxRequests } };
      sequence += 1;
      allocate(next.services);
      latches.follow(next);
      const latchScopes = latches.scopes;
      for (const slot of slots) {
        slot.post({
          type: 'snapshot',
          sequence,
          snapshot,
          serviceCounters: serviceBlocks(),
          latchScopes,
          upstreamBlocks: upstreamsOf(slot.index),
        });
      }
      return sequence;
    },

    appliedRevision: () =>
      slots.map(({ index, appliedRevision: revision, appliedSequence }) => ({
        index,
        revision,
        sequence: appliedSequence,
      })),

    onApplied(listener) {
      listeners.push(listener);
    },

    upstreamBlocks: (service) => upstreams.of(service),

    freshFor(ms) {
      setFreshUntil(freshUntil, sharedNow() + ms);
    },

    shortOfMemory(short) {
      Atomics.store(new Int32Array(memoryShort), 0, Number(short));
    },

    rotateTicketKeys() {
      ticketKeys = randomBytes(TICKET_KEY_BYTES);
      for (const slot of slots) slot.post({ type: 'ticketKeys', ticketKeys });
    },

    latches: {
      rollouts: () => latches.rollouts(),
      part: (rollout, part) => latches.part(rollout, part),
      takeOver: (batch) => latches.takeOver(batch),
      scope: (name) => latches.scope(name),
      onDecided: (listener) => void latchListeners.push(listener),
    },

    latchFigures: () => latches.figures(),
    limits: () => plan,

    checkHeartbeats() {
      latches.tidy(wallNow());
      for (const slot of slots) {
        // A worker that has drained gives no sign of life any more.
        if (!slot.hasWorker || slot.drained) continue;
        const silent = silence.tooLong(slot.index, slot.counters.lastHeartbeat);
        if (silent === 0) continue;
        log.error(
          { 'serin.worker': slot.index, 'serin.silent_ms': Math.round(silent) },
          'a worker hangs; it is ended',
        );
        silence.begin(slot.index);
        detached('the end of a hung worker', slot.terminate());
      }
    },

    counters: () => slots.map(({ index, counters }) => ({ index, counters })),

    serviceCounters: (service) => (blocks.get(service) ?? []).map((buffer) => new ServiceCounters(buffer)),

    async drain(grace, idle) {
      stopping = true;
      for (const slot of slots) {
        if (slot.hasWorker) slot.post({ type: 'drain', idle });
        else slot.drained = true;
      }
      let timer: NodeJS.Timeout | undefined;
      await new Promise<void>((resolve) => {
        onDrained = () => {
          if (slots.every((slot) => slot.drained)) resolve();
        };
        // Whoever stops the process counts real time.
        timer = after(grace, guarded('the end of the drain', resolve));
        onDrained();
      });
      clearTimeout(timer);
    },

    async close() {
      stopping = true;
      await Promise.all(slots.map((slot) => slot.terminate()));
    },
  };
}

/** Finds out that `port` is free (or which one is) by listening on it alone for a moment. */
async function probePort(host: string, port: number): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen({ host, port, exclusive: true }, resolve);
  });
  const address = server.address();
  await new Promise<void>((resolve) => {
    server.close(() => resolve());
  });
  return typeof address === 'object' && address !== null ? address.port : port;
}
