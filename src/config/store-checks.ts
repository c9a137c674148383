/** What must hold of the store's settings beyond their schema. No fault holds the password. */
import type { Fault } from '../schema/faults.ts';
import { DEFAULT_MAX_STALENESS } from './defaults.ts';
import { milliseconds, parseDuration } from '../schema/duration.ts';
import { DEFAULT_LEASE } from './fleet-defaults.ts';
import { parseRedisUrl } from './redis-url.ts';
import type { Configuration } from './schema.ts';

const LOWEST_STALENESS = 1000;
const HIGHEST_STALENESS = 24 * 60 * 60 * 1000;

/** Pointers begin at the settings of the store. */
export function storeFaults({ store = {}, fleet = {}, secretFile }: Configuration): Fault[] {
  const faults: Fault[] = [];
  if (store.redis === undefined) {
    for (const field of ['prefix', 'snapshot', 'maxStaleness'] as const) {
      if (store[field] !== undefined)
        faults.push({
          pointer: `/${field}`,
          detail: 'it matters only with store.redis; remove it, or set that',
        });
    }
    return faults;
  }
  if (store.file !== undefined) {
    const detail =
      'there is store.file as well; keep one of them: store.redis for several replicas, store.file for one (`serin store migrate` moves from one to the other)';
    faults.push({ pointer: '/redis', detail });
  }
  const target = parseRedisUrl(store.redis);
  if (typeof target === 'string') faults.push({ pointer: '/redis', detail: target });
  if (secretFile === undefined) {
    const detail =
      'replicas must have the same key ring, so none is made; set secretFile to a file that you give to all of them';
    faults.push({ pointer: '/redis', detail });
  }
  faults.push(...stalenessFaults(store.maxStaleness ?? DEFAULT_MAX_STALENESS, fleet.lease));
  return faults;
}

function stalenessFaults(text: string, lease: string | undefined): Fault[] {
  const pointer = '/maxStaleness';
  const time = parseDuration(text);
  if (time < LOWEST_STALENESS || time > HIGHEST_STALENESS)
    return [{ pointer, detail: `${text} is out of range; expected a duration from 1s to 24h` }];
  if (time >= milliseconds(lease, DEFAULT_LEASE)) return [];
  return [{ pointer, detail: `${text} is shorter than fleet.lease; expected at least that` }];
}
