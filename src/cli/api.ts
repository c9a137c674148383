/**
 * The API as the command uses it. Whatever is not an answer becomes a CommandError that says what the API said.
 *
 * The token goes into the header and nowhere else: no message holds it.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { CommandError, EXIT } from './failure.ts';

/** JSON as it comes; commands look at the few fields that they show. */
export type Json = Readonly<Record<string, unknown>>;

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
}

/** Longer than the API takes for anything. */
const REQUEST_TIMEOUT = 60_000;

/** `url` is the API's, such as http://127.0.0.1:9090. Throws CommandError where it is none. */
export function connectApi(url: string, token: string | undefined): Api {
  if (!URL.canParse(url) || !/^https?:$/.test(new URL(url).protocol)) {
    throw new CommandError(
      `"${url}" is not the URL of an API; expected one such as http://127.0.0.1:9090`,
      EXIT.usage,
    );
  }
  return {
    async request(method, path, { body, contentType = 'application/json', ifMatch, allowed } = {}) {
      const answer = await send(new URL(path, url), {
        method,
        headers: {
          accept: 'application/json',
          ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
          ...(body === undefined ? {} : { 'content-type': contentType }),
          ...(ifMatch === undefined ? {} : { 'if-match': ifMatch }),
        },
        ...(body === undefined ? {} : { body }),
        redirect: 'error',
        signal: AbortSignal.timeout(REQUEST_TIMEOUT),
      });
      const { status, headers } = answer;
      const read = await readJson(answer);
      if (status >= 300 && status !== allowed) throw refusal(status, read);
      if (read === null) {
        throw new CommandError(
          `${url} answered ${status} without JSON; is it Serin's API?`,
          EXIT.unavailable,
        );
      }
      return { status, etag: headers.get('etag'), body: read };
    },
  };
}

async function send(url: URL, options: RequestInit): Promise<Response> {
  try {
    return await fetch(url, options);
  } catch (error) {
    const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
    const reason =
      cause instanceof Error ? cause.message || String((cause as NodeJS.ErrnoException).code) : String(cause);
    throw new CommandError(
      `nobody answers at ${url.origin} (${reason}); name the API with --url or SERIN_URL`,
      EXIT.unavailable,
    );
  }
}

async function readJson(answer: Response): Promise<Json | null> {
  const text = await answer.text();
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? (value as Json) : null;
  } catch {
    return null;
  }
}

function refusal(status: number, problem: Json | null): CommandError {
  const exitCode =
    status === 401 || status === 403 ? EXIT.forbidden : status >= 500 ? EXIT.unavailable : EXIT.refused;
  if (problem === null || typeof problem['code'] !== 'string') {
    return new CommandError(`the API answered ${status}`, exitCode);
  }
  const lines = [`${status} ${problem['code']}: ${String(problem['detail'])}`];
  const errors = Array.isArray(problem['errors']) ? (problem['errors'] as Json[]) : [];
  for (const { pointer, line, detail } of errors) {
    const place = [typeof line === 'number' ? `line ${line}` : '', String(pointer)].filter(Boolean).join(' ');
    lines.push(`  ${place === '' ? '' : `${place}: `}${String(detail)}`);
  }
  const figures = Object.entries((problem['figures'] ?? {}) as Json);
  if (figures.length > 0)
    lines.push(`  (${figures.map(([name, value]) => `${name} ${String(value)}`).join(', ')})`);
  if (status === 401) lines.push('  give a token with --token or SERIN_TOKEN');
  return new CommandError(lines.join('\n'), exitCode);
}

const FINAL = new Set(['APPLIED', 'ROLLED_BACK', 'FAILED', 'SUPERSEDED', 'CANCELED']);

/** Asks for a change until it is final, at most `timeout` ms. Tells `onProgress` whenever it got further. */
export async function waitForChange(
  api: Api,
  change: Json,
  timeout: number,
  onProgress: (change: Json) => void,
): Promise<Json> {
  const end = Date.now() + timeout;
  let current = change;
  for (let pause = 50; !FINAL.has(String(current['status'])); pause = Math.min(1000, pause * 2)) {
    if (Date.now() + pause > end) {
      const state = `${String(current['status'])}, ${String(current['progress'])}`;
      throw new CommandError(
        `change ${String(current['id'])} is still ${state} after ${timeout / 1000} s`,
        EXIT.unavailable,
      );
    }
    await sleep(pause);
    // By the URL that reached the API: the public one may not be reachable from here.
    const { body } = await api.request('GET', `/v1/changes/${encodeURIComponent(String(current['id']))}`);
    if (body['progress'] !== current['progress']) onProgress(body);
    current = body;
  }
  return current;
}
