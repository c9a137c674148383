/**
 * Faults: what is wrong with a document, where, and what would be right.
 *
 * Every reader of documents (configuration, rollouts, API bodies) reports through this one shape, so that
 * a fault looks the same on the terminal, in a log line and in a problem+json answer. It must never carry a secret.
 */

import { visibleLine } from './visible-text.ts';

/** One thing that is wrong with a document. */
export interface Fault {
  /** RFC 6901 JSON pointer to the offending value; `''` is the whole document. */
  readonly pointer: string;
  /** A sentence: what is wrong and what would be right. */
  readonly detail: string;
  /** 1-based line in the source text, where the document came from a text file. */
  readonly line?: number;
}

/** A document was refused. `code` is stable and listed in docs/errors.md; `faults` has at least one entry. */
export class DocumentError extends Error {
  readonly code: string;
  /** The message without the faults. */
  readonly summary: string;
  readonly faults: readonly Fault[];

  constructor(code: string, summary: string, faults: readonly Fault[]) {
    const lines = faults.map((fault) => {
      const place =
        fault.line === undefined ? fault.pointer || '/' : `line ${fault.line} (${fault.pointer || '/'})`;
      return `\n  ${visibleLine(`${place}: ${fault.detail}`)}`;
    });
    super(summary + lines.join(''));
    this.name = 'DocumentError';
    this.code = code;
    this.summary = summary;
    this.faults = faults;
  }
}

/** Faults of a part, with pointers that begin at the whole. */
export function prefixed(pointer: string, faults: readonly Fault[]): Fault[] {
  return faults.map((fault) => ({ ...fault, pointer: pointer + fault.pointer }));
}
