/**
 * Where what stands in the memory of a latch table: a header, the scopes, the regions, the heads of all slots, their bodies.
 * All of it are words of 32 bits.
 */

/** Rollouts whose latches the table can tell apart at a time, by index from 0. */
export const SCOPES = 2047;

/** Slots of a set. */
export const WAYS = 8;
/** Words of a slot's body: the hash's lower 32 bits, its upper 21 and the scope, a latch of five words. */
export const BODY = 7;

/** Latches that the table is made for, per slot. At a higher load sets would be full before the table is. */
const LOAD = 0.6;
/** Latches that a region is made for. */
const REGION_LATCHES = 1024;
const LEAST_SETS = 4;

// The header.
export const AT_LIMIT = 0;
export const AT_REGIONS = 1;
export const AT_SETS = 2;
export const AT_COUNT = 3;
export const AT_EVICTED = 4;
export const AT_LOST = 5;
const HEADER = 16;

/** Words of a scope: its serial number (0: free), its latches, its age (the lower the older, 0: over). */
const SCOPE_WORDS = 3;

export function scopeAt(scope: number): number {
  return HEADER + scope * SCOPE_WORDS;
}

/** Where the regions begin. */
export const AT_REGION = HEADER + SCOPE_WORDS * SCOPES;
/** Words of a region: its lock and its version. */
export const REGION_WORDS = 2;

/** Memory for `limit` latches. The system gives it page by page, when it is first written to. */
export function latchTableMemory(limit: number): SharedArrayBuffer {
  let regions = 1;
  while (regions * REGION_LATCHES < limit) regions *= 2;
  const sets = Math.max(LEAST_SETS, Math.ceil(limit / regions / LOAD / WAYS));
  const slots = regions * sets * WAYS;
  const words = AT_REGION + regions * REGION_WORDS + slots * (1 + BODY);
  const buffer = new SharedArrayBuffer(words * Int32Array.BYTES_PER_ELEMENT);
  const header = new Int32Array(buffer, 0, HEADER);
  header[AT_LIMIT] = limit;
  header[AT_REGIONS] = regions;
  header[AT_SETS] = sets;
  return buffer;
}
