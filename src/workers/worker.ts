/**
 * A worker thread: serves requests by the newest snapshot it was given, and does nothing else.
 *
 * Promise: a snapshot is compiled first and swapped in whole; one that can't be compiled is refused and the former
 * one goes on. It says that it is alive four times a second through shared memory.
 */
import { randomBytes } from 'node:crypto';
import { parentPort, threadId, workerData } from 'node:worker_threads';
import { AddressCache } from '../ip/address.ts';
import { LatchMemory } from '../policy/latch/latch-memory.ts';
import { LatchTable } from '../policy/latch/latch-table.ts';
import { threadClock } from '../runtime/awake-timer.ts';
import { after, every, guarded, guardedListener, soon } from '../runtime/guard.ts';
import { messageOf } from '../schema/thrown.ts';
import { createAccessLog, type AccessLog } from '../telemetry/access-log.ts';
import { LineWriter, openOutput } from '../telemetry/line-writer.ts';
import { surviveFaults } from '../telemetry/fault-log.ts';
import { createUsageSampler } from '../telemetry/worker-usage.ts';
import { ServiceCounters } from '../telemetry/service-counters.ts';
import { WorkerCounters } from '../telemetry/worker-counters.ts';
import { createLog } from '../telemetry/log.ts';
import { Admission } from '../proxy/admission.ts';
import { dateLine } from '../proxy/http-date.ts';
import { collectGarbage } from './collect-garbage.ts';
import { cutExchanges } from '../proxy/connection/cut-exchanges.ts';
import { ExchangePool } from '../proxy/exchange/exchange-pool.ts';
import { freshness, sharedNow, withoutCanary } from './freshness.ts';
import { listen } from '../proxy/connection/listener.ts';
import { latchOwner } from '../latches/latch-keeper.ts';
import { createLatchOutbox } from '../latches/latch-outbox.ts';
import type { FromWorker, ServiceBlocks, ToWorker, WorkerStart } from './messages.ts';
import { compileRouting, type Routing, type RoutingSource, type ServiceRoute } from '../proxy/routing.ts';
import { adoptCircuit } from '../upstream/circuit.ts';
import { createWarnings, SELDOM } from '../telemetry/warnings.ts';
import type { ConnectionContext } from '../proxy/exchange/exchange-pool.ts';

/** How often deadlines are looked at and the heartbeat is given, in ms. */
const TICK = 250;

/**
 * How long a connection may be idle while memory is short, in ms: no longer than it takes a request that is on its way to arrive
 * and be told so.
 */
const SHORT_IDLE = 1000;

/** How often garbage is collected while memory is short, in ms. */
const COLLECT_EVERY = 5000;

/** Bytes of access log that may wait for a slow destination. */
const ACCESS_LOG_LIMIT = 1024 * 1024;

/** All numbers of two digits in base 36. */
const ID_ENDS = Array.from({ length: 36 * 36 }, (_, number) => number.toString(36).padStart(2, '0'));

const start = workerData as WorkerStart;
const port = parentPort!;
const tell = (message: FromWorker): void => port.postMessage(message);

const allCounters = start.workerCounters.map((buffer) => new WorkerCounters(buffer));
const counters = allCounters[start.index]!;
counters.adopt();
const blocks = new Map<string, readonly ServiceCounters[]>();
addBlocks(start.serviceCounters);
let { upstreamBlocks } = start;
for (const { circuit } of Object.values(upstreamBlocks)) adoptCircuit(circuit, start.index);

const log = createLog({ level: start.logLevel, fields: { 'serin.worker': start.index } });

const latchTable = new LatchTable(start.latchMemory, latchOwner(start.index));
const latchMemory = new LatchMemory(latchTable);
latchMemory.follow(start.latchScopes);
const latches = createLatchOutbox(
  (batch) => tell({ type: 'latches', batch }),
  (send, ms) => void after(ms, guarded('latches', send)),
  (count) => latchTable.countLost(count),
);

/** Whatever a request waits for, and how others do: all by time that this thread was awake. */
const awake = threadClock();
const { now: monotonicNow } = awake;
const stale = freshness(start.freshUntil, sharedNow() - monotonicNow() - awake.slept);
let { snapshot: newest } = start;
/** Everybody gets stable, because what is known is too old. */
let withheld = false;
const routingSource: RoutingSource = {
  worker: start.index,
  monotonicNow,
  latchMemory,
  countersOf,
  blocksOf: (service) => need(upstreamBlocks[service], service),
  mirror: {
    monotonicNow,
    random: Math.random,
    later: (task) => soon(guarded('the mirror', task)),
    short: () => context.admission.short,
  },
};
let wallSeconds = Math.floor(Date.now() / 1000);
const requestIdPrefix = randomBytes(8).toString('hex');
let requestIds = 0;
let requestIdStem = '';

/** The stem changes every 1,296 ids, so that most ids are two known strings put together. */
function mintRequestId(): string {
  const place = requestIds % ID_ENDS.length;
  if (place === 0) requestIdStem = `${requestIdPrefix}-${(requestIds / ID_ENDS.length).toString(36)}`;
  requestIds += 1;
  return requestIdStem + ID_ENDS[place]!;
}

const context: ConnectionContext = {
  routing: compileRouting(start.snapshot, null, routingSource),
  stale: (at) => stale(at + awake.slept),
  serveStable,
  draining: false,
  idleLimit: Number.POSITIVE_INFINITY,
  counters,
  admission: new Admission(counters, allCounters, start.snapshot.proxy),
  latches,
  accessLog: makeAccessLog(),
  log,
  warn: createWarnings(log, monotonicNow),
  notice: createWarnings(log, monotonicNow, SELDOM),
  addresses: new AddressCache(),
  monotonicNow,
  get slept() {
    return awake.slept;
  },
  wallSeconds: () => wallSeconds,
  wallNow: Date.now,
  dateLine: dateLine(wallSeconds),
  random: Math.random,
  mintIdentity: () => randomBytes(16).toString('base64url'),
  mintRequestId,
  http2: null,
  get exchanges() {
    return exchanges;
  },
};
const exchanges = new ExchangePool(context);

const listener = await listen(start, context);
applied(start.sequence, context.routing);
tell({ type: 'listening' });
counters.heartbeat(Date.now());
// Not before it listens: a worker that can't is to end.
surviveFaults({ log, count: () => counters.faultSurvived(), end: () => process.exit(1) });

const memoryShort = new Int32Array(start.memoryShort);
let collectAt = 0;
const usage = createUsageSampler(counters);
let sleptBefore = 0;
const overdue = guarded('deadlines', () => {
  listener.sweep(monotonicNow());
  tidyEndpoints(context.routing, monotonicNow());
});
const tick = guarded('the tick of a worker', () => {
  const wall = Date.now();
  const seconds = Math.floor(wall / 1000);
  if (seconds !== wallSeconds) context.dateLine = dateLine(seconds);
  wallSeconds = seconds;
  counters.heartbeat(wall);
  // After the next poll for I/O: what has arrived while this thread was held up is handled before anybody is called late.
  soon(overdue);
  counters.slept(awake.slept - sleptBefore);
  sleptBefore = awake.slept;
  usage.sample();
  tendAdmission();
  tendFreshness();
});
const ticker = every(TICK, tick);

/** A request came when what is known was too old: the main thread slept too, or hangs. */
function serveStable(): void {
  if (withheld) return;
  withheld = true;
  log.error({}, 'what this worker knows is too old: everybody gets stable until the main thread knows more');
  context.routing = compileRouting(withoutCanary(newest), context.routing, routingSource);
}

function tendFreshness(): void {
  if (!withheld || context.stale(monotonicNow())) return;
  withheld = false;
  context.routing = compileRouting(newest, context.routing, routingSource);
}

/** Renews what may be admitted, and follows the main thread's word on memory: while it is short, idle connections go and garbage is not left lying. */
function tendAdmission(): void {
  const short = Atomics.load(memoryShort, 0) === 1;
  if (short !== context.admission.short) {
    context.admission.shortOfMemory(short);
    listener.limitIdle(short ? SHORT_IDLE : Number.POSITIVE_INFINITY);
    collectAt = 0;
  }
  context.admission.renew();
  if (!short || monotonicNow() < collectAt) return;
  collectAt = monotonicNow() + COLLECT_EVERY;
  collectGarbage();
}

port.on('message', guardedListener('messages of the main thread', hear));

function hear(message: ToWorker): void {
  switch (message.type) {
    case 'snapshot':
      ({ upstreamBlocks } = message);
      latchMemory.follow(message.latchScopes);
      apply(message.sequence, message.snapshot, message.serviceCounters);
      return;
    case 'ticketKeys':
      listener.useTicketKeys(message.ticketKeys);
      return;
    case 'drain':
      context.draining = true;
      listener.drain(message.idle, () => {
        clearInterval(ticker);
        latches.flush();
        const drained = (): void => tell({ type: 'drained' });
        if (context.accessLog === null) drained();
        else context.accessLog.flush(drained);
      });
      return;
  }
}

function apply(sequence: number, snapshot: WorkerStart['snapshot'], serviceBlocks: ServiceBlocks): void {
  addBlocks(serviceBlocks);
  const before = context.routing;
  let routing: Routing;
  try {
    routing = compileRouting(snapshot, before, routingSource);
  } catch (error) {
    log.error(
      { err: error, 'serin.revision': snapshot.revision },
      'snapshot refused; the former one goes on',
    );
    tell({ type: 'refused', sequence, message: messageOf(error) });
    return;
  }
  newest = snapshot;
  withheld = false;
  context.routing = routing;
  context.admission.configure(routing.proxy);
  cutExchanges(listener.connections, before, routing, monotonicNow(), Math.random);
  applied(sequence, routing);
}

function applied(sequence: number, routing: Routing): void {
  counters.revision = routing.revision;
  tell({ type: 'applied', sequence, revision: routing.revision });
}

function addBlocks(serviceBlocks: ServiceBlocks): void {
  for (const [name, buffers] of Object.entries(serviceBlocks)) {
    if (blocks.has(name)) continue;
    const all = buffers.map((buffer) => new ServiceCounters(buffer));
    all[start.index]!.adopt();
    blocks.set(name, all);
  }
}

function countersOf(service: string): readonly ServiceCounters[] {
  return need(blocks.get(service), service);
}

function need<Block>(block: Block | undefined, service: string): Block {
  if (block === undefined) throw new Error(`worker ${threadId} has no shared memory for service ${service}`);
  return block;
}

function tidyEndpoints(routing: Routing, at: number): void {
  for (const route of routing.services) {
    route.admission.renew();
    route.mirror?.tick(at);
    tidyVariant(route, 0, at);
    tidyVariant(route, 1, at);
  }
}

function tidyVariant(route: ServiceRoute, variant: 0 | 1, at: number): void {
  const upstream = route.upstreams[variant];
  const ejections = upstream.tick(at, at + awake.slept);
  if (ejections > 0) route.counters.ejected(variant, ejections);
  let open = 0;
  for (const endpoint of upstream.endpoints) open += endpoint.connections;
  route.counters.upstreamConnections(variant, open - route.openConnections[variant]);
  route.openConnections[variant] = open;
}

function makeAccessLog(): AccessLog | null {
  const { mode, share } = start.accessLog;
  if (mode === 'off') return null;
  const writer = new LineWriter({
    output: openOutput(1),
    limit: ACCESS_LOG_LIMIT,
    immediate: false,
    onDropped: (lines) => counters.logDropped(lines),
  });
  return createAccessLog(
    { mode, share, includeQuery: false, worker: start.index, random: Math.random },
    writer,
    counters,
  );
}
