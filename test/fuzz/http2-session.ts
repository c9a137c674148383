/**
 * The fuzzer between HTTP/2 and HTTP/1.1: many messages, all made from one number.
 *
 * The rule: what the other side gets is read by llhttp as exactly one message with the fields, the body and the trailers that were
 * sent, or the message was refused, or it was cut and does not look whole. And what was written as HTTP/1.1, taken apart for HTTP/2
 * again, is what llhttp reads.
 */
import { isForbiddenTrailer } from '../../src/http1/trailers.ts';
import { FIELD_NAMES } from '../../src/http1/fields.ts';
import { readByLlhttp } from './by-llhttp.ts';
import { http2Message, type Http2Message } from './http2-input.ts';
import { carried, passAnswer, passRequest, type Passed } from './http2-paths.ts';
import { createRandom } from './random.ts';
import type { MessageRead } from './reading.ts';

export interface Http2Finding {
  readonly seed: number;
  readonly index: number;
  readonly fault: string;
  readonly message: Http2Message;
}

export interface Http2Result {
  readonly executions: number;
  /** How many messages of each kind ended how: "kind end". */
  readonly ends: Readonly<Record<string, number>>;
  readonly withTrailers: number;
  readonly bytes: number;
  readonly findings: readonly Http2Finding[];
}

/** Of the proxy, in requests; and what it takes out there, whoever sent it. */
const OWN = new Set(
  'x-forwarded-for x-forwarded-proto x-forwarded-host x-forwarded-port x-request-id via x-canary connection te'.split(
    ' ',
  ),
);
const TAKEN = new Set('x-forwarded-for x-canary te cookie host x_user_id content_length'.split(' '));
const FRAMING = new Set(['content-length', 'transfer-encoding']);
const FORBIDDEN = new Set(FIELD_NAMES.filter((_, id) => isForbiddenTrailer(id)));
/** No trailers of a request besides: fields that an endpoint trusts, and what looks like one of them. */
const GUARDED = new Set(['x-user-id', 'x_user_id', 'content_length', 'user-agent', 'connection', 'host']);

const trimmed = (value: string): string => value.replaceAll(/^[ \t]+|[ \t]+$/g, '');

/** The fields of a list that are to arrive, in their order, as one text. */
function expected(list: readonly string[], left: (name: string) => boolean): string {
  let text = '';
  for (let index = 0; index < list.length; index += 2) {
    const name = list[index] as string;
    if (!name.startsWith(':') && !left(name)) text += `${name}: ${trimmed(list[index + 1] as string)}\n`;
  }
  return text;
}

function arrived(list: readonly string[], left: (name: string) => boolean): string {
  let text = '';
  for (let index = 0; index < list.length; index += 2) {
    const name = (list[index] as string).toLowerCase();
    if (!left(name)) text += `${name}: ${list[index + 1]}\n`;
  }
  return text;
}

const leftOfRequest = (name: string): boolean => OWN.has(name) || TAKEN.has(name) || FRAMING.has(name);
const leftOfAnswer = (name: string): boolean => FRAMING.has(name) || name === 'te';

/** What is wrong with what came of `message`, or null. `step`: of the pieces in which it is taken apart again. */
function faultOf(message: Http2Message, passed: Passed, step: number): string | null {
  const { kind, method, data, trailers } = message;
  const { out, end } = passed;
  if (message.valid && end !== 'whole') return `${end}, although nothing is wrong with it`;
  if (end === 'refused') return out === '' ? null : 'refused, and something was passed on';
  const theirs = readByLlhttp(kind === 'request' ? 'request' : 'response', Buffer.from(out, 'latin1'), [
    method,
  ]);
  if (theirs.error !== null) return `llhttp refuses what is passed on: ${theirs.error}`;
  if (theirs.messages.length !== 1) return `${theirs.messages.length} messages`;
  const read = theirs.messages[0] as MessageRead;
  const body = kind === 'answer' && method === 'HEAD' ? '' : data.join('');
  if (end === 'whole' && !read.complete) return 'it looks cut';
  if (end === 'whole' ? read.body !== body : !body.startsWith(read.body))
    return `body ${JSON.stringify(read.body)} instead of ${JSON.stringify(body)}`;
  const left = kind === 'request' ? leftOfRequest : leftOfAnswer;
  const [wanted, got] = [expected(message.head, left), arrived(read.fields, left)];
  if (wanted !== got) return `fields ${JSON.stringify(got)} instead of ${JSON.stringify(wanted)}`;
  if (kind === 'request') {
    const line = `${message.head[message.head.indexOf(':method') + 1]} ${message.head[message.head.indexOf(':path') + 1]}`;
    if (`${read.method} ${read.target}` !== line) return `${read.method} ${read.target} instead of ${line}`;
  }
  const chunked = read.fields.some(
    (name, index) => index % 2 === 0 && name.toLowerCase() === 'transfer-encoding',
  );
  const leftTrailer = (name: string): boolean =>
    FORBIDDEN.has(name) || (kind === 'request' && GUARDED.has(name));
  const tail = end === 'whole' && chunked ? expected(trailers ?? [], leftTrailer) : '';
  if (arrived(read.trailers, () => false) !== tail)
    return `trailers ${JSON.stringify(read.trailers)} instead of ${JSON.stringify(tail)}`;
  return takenApart(message, passed, read, step);
}

/** What is wrong with what HTTP/2 would carry on of `out`, or null. */
function takenApart(
  { kind, method }: Http2Message,
  { out }: Passed,
  read: MessageRead,
  step: number,
): string | null {
  const again = carried(kind, out, step, method);
  if (again.complete !== read.complete) return `complete is ${again.complete} again`;
  if (again.body !== read.body) return `body ${JSON.stringify(again.body)} again`;
  const fields = arrived(again.fields, (name) => name.startsWith(':') || name === 'te');
  const wanted = arrived(
    read.fields,
    (name) => CONNECTION.has(name) || (kind === 'request' && name === 'host'),
  );
  const lone = kind === 'answer' && read.fields.some((name) => name === 'grpc-status');
  if (fields !== wanted && !(lone && `content-length: 0\n${fields}`.length === wanted.length))
    return `fields ${JSON.stringify(fields)} again instead of ${JSON.stringify(wanted)}`;
  const names = Object.entries(again.trailers).map(
    ([name, value]) => `${name}: ${[value].flat().join(' ')}\n`,
  );
  const count = names.join('').length;
  const sent = new Map<string, string[]>();
  for (let index = 0; index < read.trailers.length; index += 2) {
    const name = (read.trailers[index] as string).toLowerCase();
    if (CONNECTION.has(name)) continue;
    sent.set(name, [...(sent.get(name) ?? []), read.trailers[index + 1] as string]);
  }
  const all = [...sent].map(([name, values]) => `${name}: ${values.join(' ')}\n`).join('');
  return all === names.join('') ? null : `trailers ${JSON.stringify(names)} again (${count})`;
}

const CONNECTION = new Set(
  'connection keep-alive proxy-connection transfer-encoding upgrade http2-settings te'.split(' '),
);

const KEPT_FINDINGS = 20;

/** Runs `executions` messages. An execution: one message, passed on, read by llhttp, taken apart again, and compared. */
export function runHttp2Session(seed: number, executions: number): Http2Result {
  const random = createRandom(seed);
  const ends: Record<string, number> = {};
  const findings: Http2Finding[] = [];
  let bytes = 0;
  let withTrailers = 0;
  let done = 0;
  for (; done < executions && findings.length < KEPT_FINDINGS; done += 1) {
    const message = http2Message(random);
    const step = random.chance(0.5) ? 1_000_000 : 1 + random.below(40);
    let fault: string | null;
    try {
      const passed = message.kind === 'request' ? passRequest(message) : passAnswer(message);
      const key = `${message.kind} ${passed.end}`;
      ends[key] = (ends[key] ?? 0) + 1;
      bytes += passed.out.length;
      if (passed.end === 'whole' && message.trailers !== null) withTrailers += 1;
      fault = faultOf(message, passed, step);
    } catch (error) {
      fault = String(error);
    }
    if (fault !== null) findings.push({ seed, index: done, fault, message });
  }
  return { executions: done, ends, withTrailers, bytes, findings };
}
