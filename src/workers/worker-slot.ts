/**
 * One worker: its thread, what it says, and its replacement when it dies.
 *
 * It promises that the counters live on in the replacement, and that one which dies again and again before it has listened is begun ever
 * more seldom.
 */
import { Worker } from 'node:worker_threads';
import type { LatchNote } from '../latches/latch-keeper.ts';
import { after, guarded, guardedListener, survive } from '../runtime/guard.ts';
import { WORKER_COUNTER_BYTES, WorkerCounters } from '../telemetry/worker-counters.ts';
import type { FromWorker, ToWorker, WorkerStart } from './messages.ts';
import type { Silence } from './silence.ts';

export interface PoolLog {
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

export interface WorkerSlotOptions {
  readonly index: number;
  readonly log: PoolLog;
  readonly silence: Silence;
  /** What its thread is started with, now. */
  readonly startOf: (slot: WorkerSlot) => WorkerStart;
  /** Whether the pool ends: who dies is not replaced. */
  readonly isStopping: () => boolean;
  /** All its work is done, or it has ended while the pool does. */
  readonly onDrained: () => void;
  readonly onApplied: (index: number, revision: number) => void;
  readonly onLatches: (batch: readonly LatchNote[]) => void;
  /** A thread of it has ended, also one that was replaced before. */
  readonly onEnded: (index: number) => void;
  /** It is about to be replaced. */
  readonly onReplaced: () => void;
}

/** Told once whether a worker listens. */
export type Listening = (error: Error | null) => void;

/** After a worker died so often without having listened, its replacement waits; in ms, by failures. */
const RESTART_DELAYS = [0, 100, 1000, 5000] as const;

export class WorkerSlot {
  readonly index: number;
  readonly buffer = new SharedArrayBuffer(WORKER_COUNTER_BYTES);
  readonly counters = new WorkerCounters(this.buffer);
  /** Of the snapshot that it decides by; -1 for none. */
  appliedRevision = -1;
  drained = false;
  readonly #options: WorkerSlotOptions;
  #worker: Worker | null = null;
  #appliedSequence = -1;
  #failures = 0;

  constructor(options: WorkerSlotOptions) {
    this.#options = options;
    this.index = options.index;
  }

  get hasWorker(): boolean {
    return this.#worker !== null;
  }

  /** The number of the snapshot that it decides by; -1 for none. */
  get appliedSequence(): number {
    return this.appliedRevision < 0 ? -1 : this.#appliedSequence;
  }

  post(message: ToWorker): void {
    this.#worker?.postMessage(message);
  }

  async terminate(): Promise<void> {
    await this.#worker?.terminate();
  }

  /** Starts a thread. Throws where none can be made. */
  begin(listening: Listening): void {
    const { startOf, silence, log, onEnded } = this.#options;
    const worker = new Worker(new URL('./worker.ts', import.meta.url), {
      name: `serin-worker-${this.index}`,
      workerData: startOf(this),
    });
    this.#worker = worker;
    silence.begin(this.index);
    this.#appliedSequence = -1;
    this.appliedRevision = -1;
    worker.on(
      'message',
      guardedListener('messages of workers', (message: FromWorker) => this.#hear(message, listening)),
    );
    worker.on('error', (error: Error) => {
      log.error({ err: error, 'serin.worker': this.index }, 'a worker failed');
      listening(error);
    });
    worker.on(
      'exit',
      guarded('the end of a worker', () => {
        onEnded(this.index);
        if (this.#worker === worker) this.#ended(listening);
      }),
    );
  }

  #hear(message: FromWorker, listening: Listening): void {
    const { silence, log, onApplied, onLatches } = this.#options;
    switch (message.type) {
      case 'listening':
        this.#failures = 0;
        silence.serves(this.index);
        listening(null);
        return;
      case 'applied':
        if (message.sequence < this.#appliedSequence) return;
        this.#appliedSequence = message.sequence;
        this.appliedRevision = message.revision;
        onApplied(this.index, message.revision);
        return;
      case 'refused':
        log.error(
          { 'serin.worker': this.index, 'error.message': message.message },
          'a worker refused a snapshot and serves by the former one',
        );
        return;
      case 'latches':
        onLatches(message.batch);
        return;
      case 'drained':
        this.#drain();
        return;
    }
  }

  #drain(): void {
    this.drained = true;
    this.#options.onDrained();
  }

  #ended(listening: Listening): void {
    this.#worker = null;
    this.appliedRevision = -1;
    if (this.#options.isStopping()) {
      this.#drain();
      return;
    }
    listening(new Error(`worker ${this.index} ended before it listened`));
    this.#replace();
  }

  #replace(): void {
    const { log, isStopping, onReplaced } = this.#options;
    onReplaced();
    const delay = RESTART_DELAYS[Math.min(this.#failures, RESTART_DELAYS.length - 1)]!;
    this.#failures += 1;
    log.warn({ 'serin.worker': this.index, 'serin.delay_ms': delay }, 'replacing a worker');
    const again = guarded('the replacement of a worker', () => {
      if (isStopping() || this.#worker !== null) return;
      try {
        this.begin(() => {
          // A failure ends the worker, which brings it here again.
        });
      } catch (error) {
        // No thread can be made at the moment.
        survive('the replacement of a worker', error);
        this.#replace();
      }
    });
    if (delay === 0) again();
    else after(delay, again);
  }
}
