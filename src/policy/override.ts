/**
 * Override tokens: one signed, expiring wish for one service, to see the canary always or never.
 *
 * `serin override create` makes them with the same key ring. They travel in a header or a cookie and are removed before
 * a request is forwarded; they must never reach a log.
 *
 *   1.<a|n>.<expiry, seconds since 1970, base 36>.<service>.<signature>
 */
import { LRUCache } from 'lru-cache';
import { MAC_LENGTH, type KeyRing } from './keys.ts';
import { standaloneText } from '../schema/latin1.ts';

export type OverrideMode = 'always' | 'never';

export interface Override {
  readonly service: string;
  readonly mode: OverrideMode;
  /** Seconds since 1970; the token counts before this moment. */
  readonly expires: number;
}

/** The longest life of a token: one that never ends would be a password. */
export const LONGEST_OVERRIDE_SECONDS = 30 * 86_400;

const TOKEN = /^1\.([an])\.([0-9a-z]{1,8})\.([A-Za-z0-9_%.~!'()*-]{1,200})\.([A-Za-z0-9_-]{22})$/;
const LONGEST_TOKEN = 2 + 2 + 9 + 201 + MAC_LENGTH;

/** Makes a token. Throws RangeError where the life is not 1 to LONGEST_OVERRIDE_SECONDS whole seconds. */
export function createOverride(
  keys: KeyRing,
  service: string,
  mode: OverrideMode,
  nowSeconds: number,
  lifeSeconds: number,
): string {
  if (!Number.isInteger(lifeSeconds) || lifeSeconds < 1 || lifeSeconds > LONGEST_OVERRIDE_SECONDS) {
    throw new RangeError(
      `An override lives 1 to ${LONGEST_OVERRIDE_SECONDS} seconds (30 days), not ${lifeSeconds}.`,
    );
  }
  const expires = Math.floor(nowSeconds) + lifeSeconds;
  const body = `1.${mode === 'always' ? 'a' : 'n'}.${expires.toString(36)}.${encodeURIComponent(service)}`;
  return `${body}.${keys.sign('override', body)}`;
}

/** A bounded memory of verified tokens. */
export class Overrides {
  readonly #keys: KeyRing;
  readonly #known: LRUCache<string, Override>;

  constructor(keys: KeyRing, max = 1024) {
    this.#keys = keys;
    this.#known = new LRUCache({ max });
  }

  /** What the token says, whatever its service and expiry; null where it is forged or junk. */
  read(token: string): Override | null {
    if (token.length > LONGEST_TOKEN) return null;
    const known = this.#known.get(token);
    if (known !== undefined) return known;
    const parts = TOKEN.exec(token);
    if (parts === null) return null;
    const [, mode, expiry = '', service = '', signature = ''] = parts;
    if (!this.#keys.verify('override', token.slice(0, -(MAC_LENGTH + 1)), signature)) return null;
    const override: Override = {
      service: decodeURIComponent(service),
      mode: mode === 'a' ? 'always' : 'never',
      expires: Number.parseInt(expiry, 36),
    };
    this.#known.set(standaloneText(token), override);
    return override;
  }

  /** The wish that counts for this service now, or null. */
  verify(token: string, service: string, nowSeconds: number): OverrideMode | null {
    const override = this.read(token);
    if (override === null || override.service !== service || nowSeconds >= override.expires) return null;
    return override.mode;
  }
}
