/**
 * A worker's request path without sockets and without time: clients and endpoints are in the test's hand, and so is the clock.
 *
 * Everything between is the product's own: connections, exchanges, attempts, endpoints. A socket is destroyed in name only: its 'close'
 * comes when the test says so, as it comes later in life.
 */
import { EventEmitter } from 'node:events';
import type { Socket } from 'node:net';
import { listedEndpoints } from '../../src/config/variant.ts';
import type { ServiceSettings } from '../../src/contract/snapshot.ts';
import { AddressCache, parseAddress } from '../../src/ip/address.ts';
import { Admission } from '../../src/proxy/admission.ts';
import { ClientConnection } from '../../src/proxy/connection/client-connection.ts';
import { makeDownstreamInfo } from '../../src/proxy/connection/downstream-info.ts';
import { ExchangePool, type ConnectionContext } from '../../src/proxy/exchange/exchange-pool.ts';
import { compileRouting, type Routing, type RoutingSource } from '../../src/proxy/routing.ts';
import { buildSnapshot } from '../../src/state/build-snapshot.ts';
import type { AccessRecord } from '../../src/telemetry/access-log.ts';
import type { WorkerCounters } from '../../src/telemetry/worker-counters.ts';
import type { Transport } from '../../src/upstream/transport.ts';
import { blocksOf } from '../../src/upstream/shared-blocks.ts';
import { createUpstreamMemory } from '../../src/workers/upstream-memory.ts';
import { newServiceCounters, newWorkerCounters } from '../unit/telemetry/fake-source.ts';

/** One end of a connection: what was written to it, and what was done to it. */
export class FakeSocket extends EventEmitter {
  written = '';
  ended = false;
  destroyed = false;
  wasReset = false;
  paused = false;
  /** While it is set nothing that is written leaves. */
  slow = false;
  writableNeedDrain = false;
  writableLength = 0;

  write(data: string | Buffer): boolean {
    this.written += typeof data === 'string' ? data : data.latin1Slice();
    if (!this.slow) return true;
    this.writableLength += data.length;
    this.writableNeedDrain = true;
    return false;
  }

  /** All that was written leaves. */
  drain(): void {
    this.slow = false;
    this.writableLength = 0;
    this.writableNeedDrain = false;
    this.emit('drain');
  }

  cork(): void {
    // What is written shows at once.
  }

  uncork(): void {
    // As above.
  }

  pause(): void {
    this.paused = true;
  }

  resume(): void {
    this.paused = false;
  }

  setTimeout(): void {
    // Nobody waits here.
  }

  end(): void {
    this.ended = true;
  }

  destroy(): void {
    this.destroyed = true;
  }

  destroySoon(): void {
    this.ended = true;
    this.destroyed = true;
  }

  resetAndDestroy(): void {
    this.wasReset = true;
    this.destroyed = true;
  }

  asSocket(): Socket {
    return this as unknown as Socket;
  }
}

/** A connection that was opened to an endpoint. */
export interface OpenedConnection {
  readonly endpoint: string;
  readonly socket: FakeSocket;
  /** It stands. */
  ready(): void;
  /** The endpoint sends `text`. */
  send(text: string): void;
  /** The endpoint, or the network, ends it. */
  close(code?: string): void;
}

export interface MemoryClient {
  readonly socket: FakeSocket;
  readonly connection: ClientConnection;
  send(text: string): void;
  /** What was written to it since this was last asked. */
  got(): string;
}

export interface MemoryProxy {
  readonly context: ConnectionContext;
  readonly counters: WorkerCounters;
  readonly routing: Routing;
  /** Connections to endpoints in the order in which they were opened. */
  readonly opened: OpenedConnection[];
  /** Requests as the access log has them. */
  readonly logged: AccessRecord[];
  readonly connect: () => MemoryClient;
  /** Lets time go by, in ms, and handles what is due then. */
  readonly pass: (milliseconds: number) => void;
}

export interface MemoryOptions {
  readonly stable?: readonly string[];
  readonly canary?: readonly string[];
  /** The policy gives everybody the canary. */
  readonly promoted?: boolean;
  readonly settings?: Partial<ServiceSettings>;
  readonly http2?: boolean;
}

const ROLLOUT = {
  id: 'r1',
  epoch: 1,
  seed: '00112233445566778899aabbccddeeff',
  bucketAlgorithm: 'xxh64-1',
  fingerprintKey: 'k1',
  phase: 'promoted',
  document: { rules: [{ name: 'all', percentage: 100 }] },
  step: 0,
  startedAt: '2026-01-01T00:00:00Z',
};

function compiled(
  { stable = ['s1:1'], canary = [], promoted = false, settings = {} }: MemoryOptions,
  monotonicNow: () => number,
): Routing {
  const memory = createUpstreamMemory(1);
  const definition = {
    hosts: ['*'],
    identity: [{ fingerprint: true }],
    stable: { endpoints: [...stable] },
    canary: { endpoints: [...canary] },
  };
  const rollout = promoted ? ROLLOUT : null;
  const snapshot = buildSnapshot({
    revision: 1,
    configuration: {},
    services: [{ name: 'notes', source: 'file', definition, rollout, revision: 1 }],
    keys: [{ id: 'k1', secret: new Uint8Array(32) }],
    regionDatabase: null,
    credential: () => {
      throw new Error('no file is named');
    },
    networks: new Map(),
    endpoints: listedEndpoints,
  } as unknown as Parameters<typeof buildSnapshot>[0]);
  memory.allocate(snapshot.services);
  const routing = compileRouting(snapshot, null, {
    worker: 0,
    monotonicNow,
    countersOf: () => [newServiceCounters()],
    blocksOf: (service: string) => blocksOf(memory.of(service)!, 0),
    latchMemory: null,
  } as unknown as RoutingSource);
  const services = routing.services.map((route) => ({
    ...route,
    settings: { ...route.settings, ...settings },
  }));
  return { ...routing, services };
}

export function proxyInMemory(options: MemoryOptions = {}): MemoryProxy {
  let clock = 1_000_000;
  const monotonicNow = (): number => clock;
  const opened: OpenedConnection[] = [];
  const logged: AccessRecord[] = [];
  const connections = new Set<ClientConnection>();
  const routing = compiled(options, monotonicNow);
  const transport: Transport = {
    id: 'memory',
    open(address, ready, receive) {
      const socket = new FakeSocket();
      opened.push({
        endpoint: `${address.host}:${address.port}`,
        socket,
        ready() {
          socket.emit('connect');
          ready();
        },
        send(text) {
          const bytes = Buffer.from(text, 'latin1');
          receive(bytes, bytes.length);
          // In life the bytes lie in a buffer that the next read overwrites.
          bytes.fill('#');
        },
        close(code) {
          if (code !== undefined) socket.emit('error', Object.assign(new Error(code), { code }));
          socket.emit('close');
        },
      });
      return socket.asSocket();
    },
  };
  for (const { stable, canary } of routing.services)
    for (const endpoint of [...stable, ...canary]) endpoint.useTransport(transport);
  const counters = newWorkerCounters();
  const context = {
    routing,
    stale: () => false,
    serveStable: () => undefined,
    draining: false,
    idleLimit: Infinity,
    counters,
    admission: new Admission(counters, [counters], { maxConnections: 100, maxRequests: 100 }),
    latches: { add: () => undefined },
    accessLog: {
      wanted: () => true,
      record: (entry: AccessRecord) => void logged.push(entry),
      flush: (done: () => void) => done(),
    },
    log: { debug: () => undefined },
    warn: () => undefined,
    notice: () => undefined,
    addresses: new AddressCache(),
    monotonicNow,
    slept: 0,
    wallSeconds: () => 1_800_000_000,
    wallNow: () => 1_800_000_000_000,
    dateLine: 'Date: now\r\n',
    random: () => 0,
    mintIdentity: () => 'minted',
    mintRequestId: () => 'id',
    http2: null,
  } as unknown as ConnectionContext;
  const exchanges = new ExchangePool(context);
  Object.assign(context, { exchanges });
  const downstream = {
    ...makeDownstreamInfo(parseAddress('198.51.100.7')!, 80, false),
    http2: options.http2 === true,
  };
  return {
    context,
    counters,
    routing,
    opened,
    logged,
    connect() {
      const socket = new FakeSocket();
      const connection = new ClientConnection(socket.asSocket(), downstream, context, (closed) =>
        connections.delete(closed),
      );
      connections.add(connection);
      let seen = 0;
      return {
        socket,
        connection,
        send(text) {
          const bytes = Buffer.from(text, 'latin1');
          connection.received(bytes, bytes.length);
        },
        got() {
          const text = socket.written.slice(seen);
          seen = socket.written.length;
          return text;
        },
      };
    },
    pass(milliseconds) {
      clock += milliseconds;
      for (const connection of connections) {
        if (clock >= connection.deadline) connection.onDeadline(clock);
        if (clock >= connection.exchange.cutAt) connection.onExchangeDue(clock);
      }
    },
  };
}
