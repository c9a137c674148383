/**
 * Max-Forwards: how many more hops a request for OPTIONS or TRACE may go. For other methods the field means nothing here.
 *
 * Source: RFC 9110, section 7.6.2. A request that ends here reaches no endpoint.
 */
import { F } from '../../http1/fields.ts';
import type { RequestHead } from '../../http1/request-head.ts';

/** Where such a request goes: `on`, or it ends here, or what it says is no number. */
export type Forwards = 'on' | 'ends' | 'invalid';

/** Longer numbers than any path has hops. */
const NUMBER = /^\d{1,9}$/;

export function forwards(head: RequestHead): Forwards {
  const value = limit(head);
  if (value === undefined) return 'on';
  if (!NUMBER.test(value)) return 'invalid';
  return Number(value) === 0 ? 'ends' : 'on';
}

/** The field for the next hop as a complete line; '' where there is none to replace. */
export function nextForwards(head: RequestHead): string {
  const value = limit(head);
  return value === undefined ? '' : `Max-Forwards: ${Number(value) - 1}\r\n`;
}

function limit(head: RequestHead): string | undefined {
  if (!head.seen(F.MAX_FORWARDS)) return undefined;
  return head.method === 'OPTIONS' || head.method === 'TRACE' ? head.header('max-forwards') : undefined;
}
