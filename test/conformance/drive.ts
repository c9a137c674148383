/**
 * Sends cases to a real proxy, many at a time, each from a loopback address of its own, which is how the origin knows
 * what belongs to which case even where connections are shared. The waiting is bounded for each case.
 */
import { within } from '../support/bounded.ts';
import type { Origin, Received } from '../support/origin.ts';
import { connect } from '../support/raw-client.ts';
import { value } from '../support/strict-head.ts';
import { createReader } from '../support/strict-reader.ts';
import type { RequestCase } from './corpus.ts';
import { judge, readSent, type Observation, type Verdict } from './judge.ts';

export interface Judged {
  readonly one: RequestCase;
  readonly verdict: Verdict;
}

interface Sending {
  readonly one: RequestCase;
  readonly observation: Omit<Observation, 'forwarded' | 'originFault'>;
}

/** A loopback address for the n-th case, outside of 127.0.0.0/16. */
function addressOf(index: number): string {
  return `127.${1 + (index >> 16)}.${(index >> 8) & 255}.${index & 255}`;
}

/** Runs `work` for each item, `width` at a time. */
export async function inParallel<T, R>(
  items: readonly T[],
  width: number,
  work: (item: T, index: number) => Promise<R>,
): Promise<R[]> {
  const results: R[] = [];
  let next = 0;
  async function lane(): Promise<void> {
    while (next < items.length) {
      const index = next++;
      results[index] = await work(items[index] as T, index);
    }
  }
  await Promise.all(Array.from({ length: width }, lane));
  return results;
}

/** The methods of all requests of a case, of the last one also where the strict reader finds it cut short or bad. */
function methodsOf(bytes: Buffer): string[] {
  const methods: string[] = [];
  let ends = 0;
  let last = 0;
  let at = 0;
  const reader = createReader('request', {
    emptyLines: true,
    head: ({ method }) => methods.push(method),
    end: () => {
      ends += 1;
      last = at + 1;
    },
  });
  // Long ones at once: byte by byte, the reader would put them together anew for each byte.
  if (bytes.length > 4_096) {
    reader.push(bytes);
    return methods;
  }
  for (; at < bytes.length && reader.fault === null; at += 1) reader.push(bytes.subarray(at, at + 1));
  if (methods.length === ends && bytes.toString('latin1', last).trimStart().startsWith('HEAD '))
    methods.push('HEAD');
  return methods;
}

/** `piece`: into pieces of how many bytes the case is cut; each goes to the kernel apart. */
async function send(one: RequestCase, address: string, port: number, piece: number): Promise<Sending> {
  const sent = readSent(one.bytes);
  const methods = methodsOf(one.bytes);
  const client = await connect(port, { localAddress: address, methods });
  if (piece >= one.bytes.length) client.write(one.bytes);
  else await client.writeSplit(one.bytes, piece);
  // Every request has its answer, or the proxy has closed: nothing more is to come.
  for (let count = 0; count < sent.length; count++) {
    const answer = await client.answer(15_000).catch(() => null);
    if (answer === null) break;
  }
  if (sent.length > 0) client.end();
  await within(client.finished, `the end of ${one.name}`).catch(() => {});
  client.destroy();
  const answers = client.answers.filter((answer) => answer.complete);
  const cut = client.answers.length > answers.length ? 'an answer was cut short' : null;
  return { one, observation: { address, answers, answerFault: client.reader.fault ?? cut } };
}

/** The fault of a connection that this case's requests ended, or null: a fault belongs to the last request before it. */
function faultOf(received: readonly Received[]): string | null {
  const broken = received.find(
    (one) => one.connection.fault !== null && one.connection.requests.at(-1) === one,
  );
  return broken?.connection.fault ?? null;
}

/** Sends all cases and judges them. Addresses begin with that of number `first`. */
export async function drive(
  cases: readonly RequestCase[],
  port: number,
  origin: Origin,
  first: number,
  width = 48,
  piece = Infinity,
): Promise<Judged[]> {
  const sendings = await inParallel(cases, width, (one, index) =>
    send(one, addressOf(first + index), port, piece),
  );
  const byAddress = Map.groupBy(
    origin.requests,
    (received) => value(received.message, 'x-forwarded-for') ?? '',
  );
  return sendings.map(({ one, observation }) => {
    const received = byAddress.get(observation.address) ?? [];
    const forwarded = received.map(({ message }) => message);
    return { one, verdict: judge(one, { ...observation, forwarded, originFault: faultOf(received) }) };
  });
}

/** The summary table, as lines. */
export function summary(judged: readonly Judged[]): string[] {
  const rows = [['group', 'expectation', 'cases', 'served', 'refused', 'closed', 'violations']];
  const groups = Map.groupBy(judged, ({ one }) => `${one.group}\0${one.expectation}`);
  for (const [key, list] of [...groups].toSorted(([a], [b]) => (a < b ? -1 : 1))) {
    const count = (outcome: string) =>
      String(list.filter(({ verdict }) => verdict.outcome === outcome).length);
    const violated = list.filter(({ verdict }) => verdict.violations.length > 0).length;
    rows.push([
      ...key.split('\0'),
      String(list.length),
      count('served'),
      count('refused'),
      count('closed'),
      String(violated),
    ]);
  }
  const statuses = Map.groupBy(judged, ({ verdict }) => verdict.status);
  const byStatus = [...statuses]
    .toSorted(([a], [b]) => a - b)
    .map(([status, list]) => `${status || 'none'}: ${list.length}`);
  const widths = (rows[0] as string[]).map((_, column) =>
    Math.max(...rows.map((row) => (row[column] as string).length)),
  );
  const lines = rows.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column] as number))
      .join('  ')
      .trimEnd(),
  );
  return [...lines, `last answer by status: ${byStatus.join(', ')}`];
}

/** The violations, as lines. */
export function complaints(judged: readonly Judged[]): string[] {
  return judged.flatMap(({ one, verdict }) => verdict.violations.map((what) => `${one.name}: ${what}`));
}
