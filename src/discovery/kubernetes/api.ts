/**
 * The two requests that are made of the API server: to list the EndpointSlices of a Service, and to watch them.
 *
 * It promises that whatever is answered ends in objects that were looked at or in a SourceError, in bounded memory and time.
 */
import { request, type Dispatcher } from 'undici';
import { codeOf, messageOf } from '../../schema/thrown.ts';
import { SourceError, type Trouble } from '../source.ts';
import type { Access, Credentials } from './credentials.ts';
import { createLineCutter, LineTooLong } from './lines.ts';
import {
  BadObject,
  readEvent,
  readList,
  readStatus,
  type SliceList,
  type Status,
  type WatchEvent,
} from './objects.ts';

export interface Subject {
  /** Null: the namespace that the credentials are for. */
  readonly namespace: string | null;
  readonly service: string;
}

/** The server no longer knows what came after the version that was asked for. */
export class Expired extends Error {}

export interface KubernetesApi {
  /** One page. Rejects with SourceError, or with Expired for a page that no longer is. */
  list(subject: Subject, page: string, signal: AbortSignal): Promise<SliceList>;
  /**
   * Gives what happens after a version, and resolves when the server ends it, or when it was silent for longer than a server that is
   * there is. Calls `onOpen` when it is answered. Rejects with SourceError or Expired.
   */
  watch(subject: Subject, version: string, listener: WatchListener, signal: AbortSignal): Promise<void>;
}

export interface WatchListener {
  onOpen(): void;
  onEvent(event: WatchEvent): void;
  /** So far nothing more has come: what events say together can be told. */
  onPause(): void;
}

export interface ApiTimes {
  /** For an answer to begin, and between two pieces of a list, in ms. */
  readonly answer: number;
  /** A watch that is silent for so long is given up, in ms. */
  readonly silence: number;
}

export interface ApiOptions {
  readonly credentials: Credentials;
  /** Tests have shorter ones. */
  readonly times?: ApiTimes;
  /** Uniform in [0, 1). */
  readonly random: () => number;
}

/** Slices on a page. A slice has a thousand endpoints at most, half a megabyte. */
const PAGE = 100;
/** The largest page and the largest event, in bytes. */
const MOST_PAGE = 128 * 1024 * 1024;
const MOST_EVENT = 8 * 1024 * 1024;
/** The largest answer that tells of a failure. */
const MOST_FAILURE = 64 * 1024;
/** A server sends a bookmark about every minute; one that is silent for longer may be gone. */
const TIMES: ApiTimes = { answer: 30_000, silence: 90_000 };
/** How long the server is asked to let a watch last, in seconds, and up to as much more at random. */
const WATCH_TIME = 300;

/** What the credentials must be allowed to do, as people have to write it. */
const RULE = '{ apiGroups: ["discovery.k8s.io"], resources: ["endpointslices"], verbs: ["list", "watch"] }';

export function createKubernetesApi({ credentials, random, times = TIMES }: ApiOptions): KubernetesApi {
  async function ask(
    { namespace, service }: Subject,
    query: Readonly<Record<string, string>>,
    bodyTimeout: number,
    signal: AbortSignal,
  ): Promise<Dispatcher.ResponseData['body']> {
    const access = await credentials.get();
    const place = namespace ?? access.namespace;
    const parameters = new URLSearchParams({
      labelSelector: `kubernetes.io/service-name=${service}`,
      ...query,
    });
    const url = `${access.server}/apis/discovery.k8s.io/v1/namespaces/${encodeURIComponent(place)}/endpointslices?${parameters.toString()}`;
    const { statusCode, headers, body } = await request(url, {
      dispatcher: access.dispatcher,
      headers: headersOf(access),
      headersTimeout: times.answer,
      bodyTimeout,
      signal,
    });
    if (statusCode === 200) return body;
    const status = await readFailure(body);
    if (statusCode === 410) throw new Expired(status.message);
    if (statusCode === 401) credentials.expire();
    throw failure(statusCode, status, retryAfter(headers['retry-after'], status), place);
  }

  return {
    list: (subject, page, signal) =>
      withSourceErrors(async () => {
        const query = { limit: String(PAGE), ...(page === '' ? {} : { continue: page }) };
        return readList(await readAll(await ask(subject, query, times.answer, signal), MOST_PAGE));
      }),

    watch: (subject, version, listener, signal) =>
      withSourceErrors(async () => {
        const seconds = Math.round(WATCH_TIME * (1 + random()));
        const query = {
          watch: '1',
          resourceVersion: version,
          allowWatchBookmarks: 'true',
          timeoutSeconds: String(seconds),
        };
        const body = await ask(subject, query, times.silence, signal);
        listener.onOpen();
        const cutter = createLineCutter(MOST_EVENT, (line) => {
          const event = readEvent(line);
          if (event.kind !== 'error') {
            listener.onEvent(event);
            return;
          }
          const { code, reason, message, retryAfter: wait } = event.status;
          if (code === 410 || reason === 'Expired' || reason === 'Gone') throw new Expired(message);
          throw failure(code, event.status, wait, subject.namespace ?? '');
        });
        try {
          for await (const bytes of body as AsyncIterable<Uint8Array>) {
            cutter.push(bytes);
            listener.onPause();
          }
        } catch (error) {
          if (codeOf(error) !== 'UND_ERR_BODY_TIMEOUT') throw error;
        }
      }),
  };
}

function headersOf({ token }: Access): Record<string, string> {
  return {
    accept: 'application/json',
    'user-agent': 'serin',
    ...(token === '' ? {} : { authorization: `Bearer ${token}` }),
  };
}

async function readAll(body: AsyncIterable<Uint8Array>, most: number): Promise<Buffer> {
  const pieces: Uint8Array[] = [];
  let length = 0;
  for await (const piece of body) {
    length += piece.length;
    if (length > most) throw new SourceError('too_large', `the answer is larger than ${most} bytes`);
    pieces.push(piece);
  }
  return Buffer.concat(pieces);
}

/** What an answer that is a failure says of itself, as far as that can be read. */
async function readFailure(body: AsyncIterable<Uint8Array>): Promise<Status> {
  try {
    return readStatus(JSON.parse((await readAll(body, MOST_FAILURE)).toString('utf8')));
  } catch {
    return readStatus(null);
  }
}

/** Seconds as a header has them; a date is not expected of an API server. */
function retryAfter(header: string | string[] | undefined, { retryAfter: inBody }: Status): number {
  const seconds = typeof header === 'string' && /^[0-9]{1,6}$/.test(header) ? Number(header) : 0;
  // Whoever asks for more than five minutes is not thought to mean it.
  return Math.min(300_000, Math.max(seconds * 1000, inBody));
}

function failure(code: number, { message }: Status, wait: number, namespace: string): SourceError {
  const said =
    message === '' ? `the API server answers ${code}` : `the API server answers ${code}: ${message}`;
  if (code === 401)
    return new SourceError(
      'unauthorized',
      `${said}; the token or certificate is not taken, it is read again`,
    );
  if (code === 403) {
    return new SourceError(
      'forbidden',
      `${said}; grant it with a Role in the namespace ${namespace} that has the rule ${RULE}, and a RoleBinding`,
    );
  }
  if (code === 404)
    return new SourceError(
      'not_found',
      `${said}; expected an API server with discovery.k8s.io/v1, as of Kubernetes 1.21`,
    );
  if (code === 429) return new SourceError('throttled', said, wait);
  if (code >= 500) return new SourceError('server_error', said, wait);
  return new SourceError('bad_answer', said, wait);
}

/** Every error but Expired becomes a SourceError. */
async function withSourceErrors<T>(run: () => Promise<T>): Promise<T> {
  try {
    return await run();
  } catch (error) {
    if (error instanceof SourceError || error instanceof Expired) throw error;
    if (error instanceof BadObject) throw new SourceError('bad_answer', error.message);
    if (error instanceof LineTooLong) throw new SourceError('too_large', error.message);
    throw new SourceError(reasonOf(error), messageWithCode(error));
  }
}

const TIMEOUTS = new Set([
  'UND_ERR_CONNECT_TIMEOUT',
  'UND_ERR_HEADERS_TIMEOUT',
  'UND_ERR_BODY_TIMEOUT',
  'ETIMEDOUT',
]);
const CUTS = new Set(['UND_ERR_SOCKET', 'ECONNRESET', 'EPIPE', 'UND_ERR_RES_CONTENT_LENGTH_MISMATCH']);

function reasonOf(error: unknown): Trouble {
  const code = codeOf(error);
  if (TIMEOUTS.has(code)) return 'timeout';
  if (CUTS.has(code)) return 'cut';
  return /CERT|TLS|SSL|SELF_SIGNED|UNABLE_TO/.test(code) ? 'tls' : 'connect';
}

function messageWithCode(error: unknown): string {
  const code = codeOf(error);
  const message = messageOf(error);
  return code === '' || message.includes(code) ? message : `${message} (${code})`;
}
