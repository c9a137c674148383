/**
 * What Via says of this installation, and how a request is known that comes back again and again.
 *
 * All replicas that share a key ring have one pseudonym, and others another one. So a service whose endpoint leads back to the proxy is
 * noticed after a few rounds, whichever replica each round goes through, and installations one behind the other are no loop.
 * Source: RFC 9110, section 7.6.3.
 */
import { createHash } from 'node:crypto';
import { F } from '../../http1/fields.ts';
import { TOKEN } from '../../http1/grammar.ts';
import type { RequestHead } from '../../http1/request-head.ts';
import type { KeyData } from '../../policy/keys.ts';
import type { Variant } from '../../policy/rollout.ts';

/**
 * How often a request may come by. Once is enough for most; a gateway between two services of one installation, or a second
 * installation with the same key ring, makes it more.
 */
const MOST_VISITS = 3;

export interface Via {
  /** The name of this installation in Via, in lower case; a token. */
  readonly pseudonym: string;
  /** How heads for endpoints end: by the version that the request came in, then by variant. */
  readonly endings: readonly string[];
}

/** `keys` is the key ring, the newest first. The pseudonym tells nothing of them, and stays while keys are added. */
export function makeVia(keys: readonly KeyData[]): Via {
  const oldest = keys.at(-1);
  const hash = createHash('sha256')
    .update('serin via')
    .update(oldest?.secret ?? '');
  const pseudonym = `serin-${hash.digest('hex').slice(0, 8)}`;
  const endings = ['1.0', '1.1', '2.0'].flatMap((version) =>
    ['stable', 'canary'].map((variant) => `Via: ${version} ${pseudonym}\r\nX-Canary: ${variant}\r\n\r\n`),
  );
  return { pseudonym, endings };
}

/** The fields that end a request's head. */
export function endOfHead({ endings }: Via, minor: number, http2: boolean, variant: Variant): string {
  return endings[(http2 ? 4 : minor * 2) + (variant === 'canary' ? 1 : 0)]!;
}

/** Whether the request came by as often as it may, or more. */
export function goesRound(head: RequestHead, { pseudonym }: Via): boolean {
  if (!head.seen(F.VIA)) return false;
  const value = head.header('via')!.toLowerCase();
  let visits = 0;
  let at = value.indexOf(pseudonym);
  while (at !== -1) {
    const end = at + pseudonym.length;
    const whole = TOKEN[value.charCodeAt(at - 1)] !== 1 && TOKEN[value.charCodeAt(end)] !== 1;
    if (whole) visits += 1;
    at = value.indexOf(pseudonym, end);
  }
  return visits >= MOST_VISITS;
}
