/**
 * The judge of one request case: pure, from what was sent, what the client got and what the origin got to a verdict.
 * Reject: no 2xx and nothing malformed forwarded. Accept: served. Either: whichever, but never malformed and never
 * read as other requests than were sent.
 */
import { createReader, type Message } from '../support/strict-reader.ts';
import { value, values } from '../support/strict-head.ts';
import type { RequestCase } from './corpus.ts';

/** What came of a case. */
export interface Observation {
  /** The address that the client came from; the proxy forwards it. */
  readonly address: string;
  /** Final answers that the client got. */
  readonly answers: readonly Message[];
  /** Why the answers could not be read, or null. */
  readonly answerFault: string | null;
  /** What the origin got, in order, complete or not. */
  readonly forwarded: readonly Message[];
  /** Why an origin connection of this case could not be read, or null. */
  readonly originFault: string | null;
}

export type Outcome = 'served' | 'refused' | 'closed';

export interface Verdict {
  readonly outcome: Outcome;
  /** Status of the last answer; 0 without any. */
  readonly status: number;
  readonly violations: readonly string[];
}

/** Refusals of the proxy's reader: where it stands in the stream is not known any more. */
const CLOSING = new Set([400, 408, 414, 431, 501, 505]);

/** The complete requests that a strict reader finds in the bytes of a case, up to the first fault. */
export function readSent(bytes: Buffer): Message[] {
  const sent: Message[] = [];
  const reader = createReader('request', { emptyLines: true, end: (message) => sent.push(message) });
  reader.push(bytes);
  return sent;
}

/** A target without scheme and authority: a proxy may forward absolute-form in origin-form. */
function originForm(target: string): string {
  const path = target.replace(/^https?:\/\/[^/?#]*/i, '');
  return path === '' || path.startsWith('?') ? `/${path}` : path;
}

function compareForwarded(sent: readonly Message[], got: Message, index: number, address: string): string[] {
  const violations: string[] = [];
  const original = sent[index];
  const peers = values(got.fields, 'x-forwarded-for');
  if (peers.length !== 1 || peers[0] !== address)
    violations.push(`forwarded with X-Forwarded-For ${JSON.stringify(peers)}`);
  if (!got.complete) return violations;
  if (original === undefined) {
    violations.push(`forwarded a request that was not sent: ${got.method} ${got.target}`);
    return violations;
  }
  if (got.method !== original.method || originForm(got.target) !== originForm(original.target)) {
    violations.push(`forwarded ${got.method} ${got.target} for ${original.method} ${original.target}`);
  }
  if (got.bodyHash !== original.bodyHash) {
    violations.push(
      `forwarded a body of ${got.bodyLength} bytes for one of ${original.bodyLength}, or another content`,
    );
  }
  return violations;
}

/** Judges a case. */
export function judge(one: RequestCase, seen: Observation): Verdict {
  const violations: string[] = [];
  const sent = readSent(one.bytes);
  const served = seen.answers.filter((answer) => answer.status >= 200 && answer.status < 300);

  if (seen.answerFault !== null) violations.push(`malformed answer: ${seen.answerFault}`);
  if (seen.originFault !== null) violations.push(`malformed request forwarded: ${seen.originFault}`);
  seen.forwarded.forEach((got, index) =>
    violations.push(...compareForwarded(sent, got, index, seen.address)),
  );
  for (const name of one.absent) {
    const found = seen.forwarded.find((got) => value(got, name) !== undefined);
    if (found !== undefined) violations.push(`forwarded the field ${name}`);
  }
  const complete = seen.forwarded.filter((got) => got.complete).length;
  if (served.length > complete)
    violations.push(`${served.length} answers of 2xx to ${complete} forwarded requests`);

  if (one.expectation === 'reject' && served.length > 0) violations.push('served, must be refused');
  if (one.expectation === 'accept' && served.length === 0) violations.push('refused, must be served');
  if (one.served !== null && served.length !== one.served) {
    violations.push(`${served.length} requests served instead of ${one.served}`);
  }
  if (one.status !== null && !one.status.includes(seen.answers.at(-1)?.status ?? 0)) {
    violations.push(
      `answered ${seen.answers.at(-1)?.status ?? 'nothing'} instead of ${one.status.join(' or ')}`,
    );
  }
  for (const { status, fields } of seen.answers) {
    const tokens = (value({ fields }, 'connection') ?? '').toLowerCase();
    if (CLOSING.has(status) && !tokens.includes('close')) {
      violations.push(`answered ${status} without Connection: close`);
    }
  }
  const outcome = served.length > 0 ? 'served' : seen.answers.length > 0 ? 'refused' : 'closed';
  return { outcome, status: seen.answers.at(-1)?.status ?? 0, violations };
}
