/**
 * The body of a stream of HTTP/2 in the form that its head was given in HTTP/1.1: as it is, or in chunks.
 *
 * Promise: what decides the form is the head's own writer (`request-text.ts`, `response-text.ts`), and nobody looks for it again; no
 * byte goes beyond the length that the head declares, nor does a body end before it; nothing follows a body that there is not.
 */
import { chunkOf, lastChunk } from './chunk-text.ts';

/** `none`: there is no body; `length`: its bytes as they are; `chunks`: in chunks, with trailers after them. */
export type BodyForm = 'none' | 'length' | 'chunks';

/** What the writer of a head says of the body that follows it. */
export interface BodyFraming {
  readonly form: BodyForm;
  /** Bytes that the head declares, in either form; -1 where it does not. */
  readonly length: number;
}

export class StreamBody {
  form: BodyForm = 'none';
  #declared = false;
  #left = 0;

  begin({ form, length }: BodyFraming): void {
    this.form = form;
    this.#declared = length >= 0 && form !== 'none';
    this.#left = form === 'none' ? 0 : length;
  }

  /** `data` as it is handed over, or null where it is more than the body has. */
  data(data: Buffer): Buffer | null {
    if (this.form === 'none') return null;
    if (this.#declared) {
      this.#left -= data.length;
      if (this.#left < 0) return null;
    }
    return this.form === 'chunks' ? chunkOf(data) : data;
  }

  /** What is handed over after the last data, or null where the body has not all that it declared, or bad trailers. */
  end(trailers: readonly string[] | null): string | null {
    if (this.#declared && this.#left !== 0) return null;
    const text = lastChunk(trailers);
    return this.form === 'chunks' ? text : text === null ? null : '';
  }
}

/** The number of a `content-length`, which is 1 to 16 digits and at most 2^53 - 1; -1 for anything else. */
export function declaredLength(value: string): number {
  if (!/^\d{1,16}$/.test(value)) return -1;
  const length = Number(value);
  return Number.isSafeInteger(length) ? length : -1;
}
