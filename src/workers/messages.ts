/**
 * What the main thread and a worker say to each other. Plain data; a worker never asks for anything.
 */
import type { LogOptions } from '../telemetry/log.ts';
import type { UpstreamBlocks } from '../upstream/shared-blocks.ts';
import type { LatchNote, LatchScopes } from '../latches/latch-keeper.ts';
import type { Snapshot } from '../contract/snapshot.ts';

/** Given to a worker when it starts. */
export interface WorkerStart {
  readonly index: number;
  readonly host: string;
  readonly port: number;
  /** Where TLS is spoken, or null. */
  readonly tls: { readonly host: string; readonly port: number } | null;
  /** The keys of TLS session tickets, 48 bytes; the same for all workers. */
  readonly ticketKeys: Uint8Array;
  readonly snapshot: Snapshot;
  readonly sequence: number;
  /** All workers' blocks, by index; a worker writes to its own alone. */
  readonly workerCounters: readonly SharedArrayBuffer[];
  /** Connections that are turned away and may linger at a time. */
  readonly lingering: number;
  /** An Int32 that is 1 while the process is short of memory. */
  readonly memoryShort: SharedArrayBuffer;
  /** Until when what a worker knows counts; see `freshness.ts`. */
  readonly freshUntil: SharedArrayBuffer;
  readonly serviceCounters: ServiceBlocks;
  /** The table of the latches of header identities; the same for all threads. */
  readonly latchMemory: SharedArrayBuffer;
  /** What to find in it. */
  readonly latchScopes: LatchScopes;
  /** What it shares with the other threads about each service's endpoints, by name. */
  readonly upstreamBlocks: Readonly<Record<string, UpstreamBlocks>>;
  readonly logLevel: LogOptions['level'];
  readonly accessLog: { readonly mode: 'off' | 'sampled' | 'on'; readonly share: number };
}

/** By the service's name: all workers' blocks, by index; a worker writes to its own alone. */
export type ServiceBlocks = Readonly<Record<string, readonly SharedArrayBuffer[]>>;

export type ToWorker =
  | {
      readonly type: 'snapshot';
      readonly sequence: number;
      readonly snapshot: Snapshot;
      readonly serviceCounters: ServiceBlocks;
      readonly latchScopes: LatchScopes;
      readonly upstreamBlocks: WorkerStart['upstreamBlocks'];
    }
  /** New keys of TLS session tickets; those of before are forgotten. */
  | { readonly type: 'ticketKeys'; readonly ticketKeys: Uint8Array }
  /** Answers say `Connection: close` from now on; running requests finish, idle connections wait `idle` ms for a last one. */
  | { readonly type: 'drain'; readonly idle: number };

export type FromWorker =
  | { readonly type: 'listening' }
  | { readonly type: 'applied'; readonly sequence: number; readonly revision: number }
  | { readonly type: 'refused'; readonly sequence: number; readonly message: string }
  /** Decided since the last of these messages; the other workers know of them. */
  | { readonly type: 'latches'; readonly batch: readonly LatchNote[] }
  /** After `drain`: the listener is closed and no connection is left. */
  | { readonly type: 'drained' };
