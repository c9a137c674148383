/**
 * Requests that go no further than this proxy by what they say of their way: round and round, or as far as they may.
 */
import { F } from '../../http1/fields.ts';
import type { RequestHead } from '../../http1/request-head.ts';
import { forwards } from './max-forwards.ts';
import type { ErrorCode } from './error-responses.ts';
import { goesRound, type Via } from './via.ts';

/** The answer to such a request; `options`: what OPTIONS asks for. */
export type HopEnd = Extract<ErrorCode, 'loop_detected' | 'bad_max_forwards' | 'trace_ends_here'> | 'options';

/** Null: the request goes on. */
export function endByHops(head: RequestHead, via: Via): HopEnd | null {
  if (!head.seen(F.VIA) && !head.seen(F.MAX_FORWARDS)) return null;
  if (goesRound(head, via)) return 'loop_detected';
  switch (forwards(head)) {
    case 'on':
      return null;
    case 'invalid':
      return 'bad_max_forwards';
    case 'ends':
      return head.method === 'TRACE' ? 'trace_ends_here' : 'options';
  }
}
