/**
 * What sources of endpoints say, and what is counted about them.
 */
import type { EndpointSnapshot } from '../contract/snapshot.ts';
import { messageOf } from '../schema/thrown.ts';

/** Why a source could not be asked or followed. */
export const TROUBLES = [
  'connect',
  'tls',
  'timeout',
  'cut',
  'credentials',
  'unauthorized',
  'forbidden',
  'not_found',
  'throttled',
  'server_error',
  'bad_answer',
  'too_large',
] as const;
export type Trouble = (typeof TROUBLES)[number];

/** An endpoint that may be used. */
export interface FoundEndpoint extends EndpointSnapshot {
  /** The source says that it is about to go, so nobody need wonder when it does. */
  readonly leaving: boolean;
}

/** All that a source knows at a moment. */
export interface Finding {
  readonly usable: readonly FoundEndpoint[];
  /** Endpoints by their names (`host:port`) that the source knows and that are not to be used: it says that they are not ready. */
  readonly out: ReadonlySet<string>;
}

export interface SourceListener {
  /** The source was read, or told of a change. */
  found(finding: Finding): void;
  /** A whole list was read. */
  read(): void;
  /** It told of something, were it of no importance. */
  event(): void;
  /** It is followed, or was asked with success: what was found is how it is. */
  inStep(): void;
  /** It can't be asked or followed. `detail` says what and, where that is known, what to do. */
  trouble(reason: Trouble, detail: string): void;
}

/** A source that could not be asked. */
export class SourceError extends Error {
  readonly reason: Trouble;
  /** How long to wait before the next try, in ms, where it says so. */
  readonly retryAfter: number;

  constructor(reason: Trouble, message: string, retryAfter = 0) {
    super(message);
    this.name = 'SourceError';
    this.reason = reason;
    this.retryAfter = retryAfter;
  }
}

/** Whatever was thrown as a SourceError; what nobody foresaw counts as an answer that makes no sense. */
export function asSourceError(error: unknown): SourceError {
  return error instanceof SourceError ? error : new SourceError('bad_answer', messageOf(error));
}
