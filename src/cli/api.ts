/**
 * The API as the command uses it. Whatever is not an answer becomes a CommandError that says what the API said.
 *
 * The token goes into the header and nowhere else: no message holds it.
 */
import { parsedJson } from '../schema/json-value.ts';
import type { Json } from './json.ts';
import { plain } from './show.ts';
import { CommandError, EXIT } from './failure.ts';

export interface Answer {
  readonly status: number;
  readonly etag: string | null;
  readonly body: Json;
}

export interface Api {
  /** Throws CommandError for every status but 2xx, and for `allowed` ones. */
  request(method: string, path: string, options?: RequestOptions): Promise<Answer>;
}

export interface RequestOptions {
  readonly body?: string;
  readonly contentType?: string;
  readonly ifMatch?: string | undefined;
  /** A status that is an answer all the same, such as 404 where something may be missing. */
  readonly allowed?: number;
  /** Milliseconds that the answer may take. */
  readonly timeout?: number;
}

export interface Clock {
  /** Milliseconds since 1970. */
  readonly wallNow: () => number;
  readonly sleep: (milliseconds: number) => Promise<unknown>;
}

/** Longer than the API takes for anything. */
const REQUEST_TIMEOUT = 60_000;
/** The last poll has this long at least, so that a short wait is not a wrong verdict. */
const SHORTEST_POLL = 1000;

/** `url` is the API's, such as http://127.0.0.1:9090. Throws CommandError where it is none. */
export function connectApi(url: string, token: string | undefined): Api {
  if (!URL.canParse(url) || !/^https?:$/.test(new URL(url).protocol)) {
    throw new CommandError(
      `"${plain(url)}" is not the URL of an API; expected one such as http://127.0.0.1:9090`,
      EXIT.usage,
    );
  }
  // A space at the end comes with many a secret file; what is left must be what a header can say.
  const secret = token?.trim();
  if (secret !== undefined && !/^[\x21-\x7e]+$/.test(secret)) {
    throw new CommandError('the token is empty or holds characters that no token has', EXIT.usage);
  }
  // An API behind a path, such as https://example.com/serin, keeps it.
  const base = url.replace(/[?#].*$/, '').replace(/\/+$/, '');
  return {
    async request(method, path, options = {}) {
      const { body, contentType = 'application/json', ifMatch, allowed, timeout = REQUEST_TIMEOUT } = options;
      const answer = await send(new URL(base + path), {
        method,
        headers: {
          accept: 'application/json',
          ...(secret === undefined ? {} : { authorization: `Bearer ${secret}` }),
          ...(body === undefined ? {} : { 'content-type': contentType }),
          ...(ifMatch === undefined ? {} : { 'if-match': ifMatch }),
        },
        ...(body === undefined ? {} : { body }),
        redirect: 'manual',
        signal: AbortSignal.timeout(Math.max(1, timeout)),
      });
      const { status, etag } = answer;
      const read = parseJson(answer.text);
      if (status >= 300 && status !== allowed) throw refusal(status, read);
      if (read === null) {
        throw new CommandError(
          `${plain(url)} answered ${status} without JSON; is it Serin's API?`,
          EXIT.unavailable,
        );
      }
      return { status, etag, body: read };
    },
  };
}

interface RawAnswer {
  readonly status: number;
  readonly etag: string | null;
  readonly text: string;
}

async function send(url: URL, options: RequestInit): Promise<RawAnswer> {
  try {
    const answer = await fetch(url, options);
    // The connection may be lost in the middle of the body as well.
    return { status: answer.status, etag: answer.headers.get('etag'), text: await answer.text() };
  } catch (error) {
    const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
    const reason =
      cause instanceof Error ? cause.message || String((cause as NodeJS.ErrnoException).code) : String(cause);
    throw new CommandError(
      `nobody answers at ${url.origin} (${plain(reason)}); name the API with --url or SERIN_URL`,
      EXIT.unavailable,
    );
  }
}

function parseJson(text: string): Json | null {
  const value = parsedJson(text);
  return typeof value === 'object' && value !== null ? (value as Json) : null;
}

/** A proxy in front of the API, or the API with its store gone: the same again may work. */
const UNAVAILABLE = new Set([502, 503, 504]);

function refusal(status: number, problem: Json | null): CommandError {
  const exitCode = UNAVAILABLE.has(status) ? EXIT.unavailable : EXIT.refused;
  if (problem === null || typeof problem['code'] !== 'string') {
    return new CommandError(`the API answered ${status}`, exitCode);
  }
  const lines = [`${status} ${plain(problem['code'])}: ${plain(problem['detail'])}`];
  const errors = Array.isArray(problem['errors']) ? (problem['errors'] as Json[]) : [];
  for (const { pointer, line, detail } of errors) {
    const place = [typeof line === 'number' ? `line ${line}` : '', plain(pointer)].filter(Boolean).join(' ');
    lines.push(`  ${place === '' ? '' : `${place}: `}${plain(detail)}`);
  }
  const figures = Object.entries((problem['figures'] ?? {}) as Json);
  if (figures.length > 0)
    lines.push(`  (${figures.map(([name, value]) => `${plain(name)} ${plain(value)}`).join(', ')})`);
  if (status === 401) lines.push('  give a token with --token or SERIN_TOKEN');
  return new CommandError(lines.join('\n'), exitCode);
}

const FINAL = new Set(['APPLIED', 'ROLLED_BACK', 'FAILED', 'SUPERSEDED', 'CANCELED']);

/**
 * Asks for a change until it is final, at most `timeout` ms. Tells `onProgress` whenever it got further.
 *
 * An API that is away for a moment is asked again: the change goes on without us. Throws CommandError when time is up.
 */
export async function waitForChange(
  api: Api,
  change: Json,
  timeout: number,
  { wallNow, sleep }: Clock,
  onProgress: (change: Json) => void,
): Promise<Json> {
  const id = String(change['id']);
  const end = wallNow() + timeout;
  let current = change;
  let away: CommandError | null = null;
  for (let pause = 50; !FINAL.has(String(current['status'])); pause = Math.min(1000, pause * 2)) {
    const left = end - wallNow();
    if (left <= 0) {
      const state = `${plain(current['status'])}, ${plain(current['progress'])}`;
      const why = away === null ? '' : `; at last ${away.message}`;
      throw new CommandError(
        `change ${plain(id)} is still ${state} after ${timeout / 1000} s${why}`,
        EXIT.unavailable,
      );
    }
    await sleep(Math.min(pause, left));
    try {
      // What statusUrl names, by the URL that reached the API: the public one may not be reachable from here, and a
      // token goes nowhere but where it was meant for.
      const path = `/v1/changes/${encodeURIComponent(id)}`;
      const { body } = await api.request('GET', path, {
        timeout: Math.min(REQUEST_TIMEOUT, Math.max(SHORTEST_POLL, end - wallNow())),
      });
      if (body['progress'] !== current['progress']) onProgress(body);
      current = body;
      away = null;
    } catch (error) {
      if (!(error instanceof CommandError) || error.exitCode !== EXIT.unavailable) throw error;
      away = error;
    }
  }
  return current;
}
