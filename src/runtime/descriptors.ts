/**
 * What the limit on open files leaves for connections.
 *
 * A proxy that has used up its descriptors can't accept, connect, read a file or answer its operators. So what it needs beside the
 * connections of clients is kept free: a part for itself (its files, listeners, threads; the admin API, probes and scrapes, other
 * replicas, health checks; those that are just being turned away), and of the rest as much for the endpoints as requests may be
 * under way, half of it at most. Source of the halving: HAProxy's `maxconn`, which counts two descriptors a session.
 */
import { readFileSync } from 'node:fs';

/** For files, listeners, event loops, DNS: what a process has with few workers, and what each worker adds. */
const FOR_THE_PROCESS = 96;
const FOR_A_WORKER = 16;
/** For the admin API, the ops server, peers and health checks. */
const FOR_OPERATIONS = 640;
/** Of a low limit they get no more than this share. */
const MOST_FOR_OPERATIONS = 0.25;
/** Connections that are turned away and may linger at a time, all workers together, and their share of a low limit. */
const MOST_LINGERING = 256;
const LINGERING_SHARE = 1 / 32;

export interface ConnectionLimits {
  readonly maxConnections: number;
  readonly maxRequests: number;
}

export interface DescriptorPlan extends ConnectionLimits {
  /** Connections that are turned away and may linger at a time, for each worker. */
  readonly lingering: number;
  /** Of clients and endpoints together. */
  readonly connections: number;
}

/** `limit`: descriptors of this process; null: not known, or without limit. */
export function planDescriptors(
  limit: number | null,
  workers: number,
  configured: ConnectionLimits,
): DescriptorPlan {
  if (limit === null) {
    const lingering = Math.ceil(MOST_LINGERING / workers);
    return { ...configured, lingering, connections: Number.POSITIVE_INFINITY };
  }
  const lingering = Math.max(1, Math.floor(Math.min(MOST_LINGERING, limit * LINGERING_SHARE) / workers));
  const operations = Math.min(FOR_OPERATIONS, Math.floor(limit * MOST_FOR_OPERATIONS));
  const own = FOR_THE_PROCESS + FOR_A_WORKER * workers + lingering * workers + operations;
  // However low the limit is: a proxy that takes nobody would be of no use.
  const connections = Math.max(2, limit - own);
  const maxRequests = Math.min(configured.maxRequests, Math.floor(connections / 2));
  return {
    maxRequests,
    maxConnections: Math.min(configured.maxConnections, connections - maxRequests),
    lingering,
    connections,
  };
}

const LIMITS = '/proc/self/limits';

/** The descriptors that this process may have open; null where the system sets no limit or does not tell. Never throws. */
export function descriptorLimit(read: () => string = () => readFileSync(LIMITS, 'latin1')): number | null {
  try {
    const soft = /^Max open files\s+(\d+)/m.exec(read());
    return soft === null ? null : Number(soft[1]);
  } catch {
    return null;
  }
}
