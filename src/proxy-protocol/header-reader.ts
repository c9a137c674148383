/**
 * Collects a PROXY header that arrives in pieces. It holds no more than the longest header, copies what it keeps, and gives
 * back what came after the header.
 */
import { readProxyHeader } from './header.ts';
import type { ProxiedConnection, ProxyHeaderFault } from './outcome.ts';
import { LONGEST } from './version2.ts';

export type CollectedHeader =
  | { readonly kind: 'incomplete' }
  | { readonly kind: 'fault'; readonly fault: ProxyHeaderFault }
  /** `rest` is a copy. */
  | { readonly kind: 'header'; readonly proxied: ProxiedConnection | null; readonly rest: Buffer };

export class ProxyHeaderReader {
  #held: Buffer | null = null;
  #length = 0;

  /** The next bytes of the connection; they need not outlive the call. */
  push(bytes: Uint8Array): CollectedHeader {
    const taken = this.#hold(bytes);
    const held = this.#held!;
    const outcome = readProxyHeader(held.subarray(0, this.#length));
    if (outcome.kind !== 'header') return outcome;
    const rest = Buffer.concat([held.subarray(outcome.length, this.#length), bytes.subarray(taken)]);
    this.#held = null;
    return { kind: 'header', proxied: outcome.proxied, rest };
  }

  /** How many of the bytes were taken: all of them, unless the longest header is full. */
  #hold(bytes: Uint8Array): number {
    this.#held ??= Buffer.allocUnsafe(LONGEST);
    const taken = Math.min(bytes.length, LONGEST - this.#length);
    this.#held.set(bytes.subarray(0, taken), this.#length);
    this.#length += taken;
    return taken;
  }
}
