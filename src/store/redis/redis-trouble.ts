/**
 * What an error of Redis or of the connection means: which condition the store is in, and what people should do.
 *
 * Errors of scripts name the cause somewhere in their text, so the text is searched for the words that Redis uses.
 */
import type { StoreTrouble } from '../../telemetry/store-counters.ts';
import type { StoreCondition } from '../../telemetry/store-counters.ts';
import type { StoreErrorCode } from '../store.ts';

export interface Trouble {
  readonly reason: StoreTrouble;
  /** Null where it says nothing about the store as a whole. */
  readonly condition: StoreCondition | null;
  readonly code: StoreErrorCode;
  /** For people: what it means and what would help. */
  readonly detail: string;
}

interface Kind extends Omit<Trouble, 'code'> {
  readonly words: RegExp;
  readonly code?: StoreErrorCode;
}

const KINDS: readonly Kind[] = [
  {
    words: /\bOOM\b/,
    reason: 'full',
    condition: 'full',
    detail: 'Redis has no memory left for writes; raise its maxmemory, or free some',
  },
  {
    words: /\bREADONLY\b/,
    reason: 'read_only',
    condition: 'readOnly',
    detail: 'this Redis is a replica that takes no writes; name the master, or use a redis+sentinel:// URL',
  },
  {
    words: /\bMISCONF\b/,
    reason: 'read_only',
    condition: 'readOnly',
    detail: 'Redis cannot save to its disk, so it takes no writes; look into its log',
  },
  {
    words: /\bNOREPLICAS\b/,
    reason: 'too_few_replicas',
    condition: 'readOnly',
    detail: 'Redis has fewer replicas than its min-replicas-to-write, so it takes no writes',
  },
  {
    words: /\b(?:NOAUTH|WRONGPASS|NOPERM)\b|invalid (?:username-)?password|Client sent AUTH/i,
    reason: 'denied',
    condition: 'denied',
    detail:
      'Redis refuses the name or the password, or does not permit this user what Serin does; correct store.redis or the ACL',
  },
  {
    words: /\b(?:CLUSTERDOWN|MASTERDOWN)\b|Too many Cluster redirections|Failed to refresh slots cache/i,
    reason: 'cluster_down',
    condition: 'unreachable',
    detail: 'the Cluster has no master for the keys, or a replica has lost its master',
  },
  {
    words: /\bLOADING\b/,
    reason: 'loading',
    condition: 'unreachable',
    detail: 'Redis is still loading its data',
  },
  {
    words: /\b(?:BUSY|TRYAGAIN|UNKILLABLE)\b/,
    reason: 'busy',
    condition: 'unreachable',
    detail: 'Redis is busy with a script or moves the keys',
  },
  {
    words: /\bWRONGTYPE\b/,
    reason: 'foreign',
    condition: 'unreadable',
    code: 'foreign',
    detail:
      'a key under the prefix was made by another program; choose another store.prefix, or remove that key',
  },
  {
    words: /equal or smaller than the target stream top item/,
    reason: 'corrupt',
    condition: 'unreadable',
    code: 'corrupt',
    detail:
      'its history is ahead of its revision, so somebody changed it by hand; restore the store from an export',
  },
  {
    words: /timed out|Socket timeout|ETIMEDOUT/i,
    reason: 'timeout',
    condition: 'unreachable',
    detail: 'no answer in time',
  },
  {
    words: /certificate|altnames|\bSSL\b|\bTLS\b|wrong version number/i,
    reason: 'disconnected',
    condition: 'unreachable',
    detail:
      "no connection: TLS fails; the server's certificate must be for the host in store.redis, from an authority that is known (NODE_EXTRA_CA_CERTS names others)",
  },
  {
    words:
      /Connection is closed|isn't writeable|isn't ready|connection close|max retries per request|ECONN|EPIPE|EAI_AGAIN|ENOTFOUND|EHOST|ENETUNREACH|All sentinels are unreachable|None of startup nodes|is ended|No subscriber|max number of clients/i,
    reason: 'disconnected',
    condition: 'unreachable',
    detail: 'no connection',
  },
];

/** What `message`, the text of an error, means. */
export function troubleOf(message: string): Trouble {
  const kind = KINDS.find(({ words }) => words.test(message));
  if (kind === undefined) {
    return { reason: 'other', condition: null, code: 'unavailable', detail: 'Redis refuses a command' };
  }
  const { reason, condition, code = 'unavailable', detail } = kind;
  return { reason, condition, code, detail };
}
