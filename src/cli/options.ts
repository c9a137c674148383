/** The options of the commands that use the API, and what they come to. */
import { type ParseArgsOptionsConfig, parseArgs } from 'node:util';
import { parseDuration } from '../schema/duration.ts';
import { type Api, type Clock, connectApi } from './api.ts';
import { parse, UsageError } from './failure.ts';

const string = { type: 'string' } as const;
const flag = { type: 'boolean' } as const;

/** Of every command that uses the API. */
export const COMMON = { url: string, token: string, json: flag, yaml: flag } satisfies ParseArgsOptionsConfig;

/** Of every command that writes. */
export const WRITE = {
  reason: string,
  'request-id': string,
  wait: flag,
  timeout: string,
  'dry-run': flag,
  'if-match': string,
} satisfies ParseArgsOptionsConfig;

export type Values = Readonly<Record<string, string | boolean | string[] | undefined>>;

export interface Invocation {
  readonly api: Api;
  readonly words: readonly string[];
  readonly values: Values;
}

export interface Surroundings {
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Standard input as text. */
  readonly stdin: () => Promise<string>;
  /** Both write out what a terminal must not get. */
  readonly out: (text: string) => void;
  readonly err: (text: string) => void;
  /** To standard output, as it is: a file's contents, for a file or a pipe. */
  readonly data: (text: string) => void;
  readonly clock: Clock;
}

const DEFAULT_URL = 'http://127.0.0.1:9090';

/** Reads a command's arguments; `names` are those of its words, all of them needed. Throws UsageError. */
export function readInvocation(
  args: readonly string[],
  names: readonly string[],
  options: ParseArgsOptionsConfig,
  { env }: Surroundings,
): Invocation {
  const { values, positionals } = parse(() =>
    parseArgs({ args: [...args], options: { ...COMMON, ...options }, allowPositionals: true }),
  );
  if (positionals.length !== names.length) {
    const missing = names.slice(positionals.length);
    throw new UsageError(
      missing.length > 0
        ? `missing ${missing.join(' and ')}`
        : `"${positionals[names.length]}" is one word too many`,
    );
  }
  const flat = values as Values;
  const api = connectApi(
    text(flat, 'url') ?? env['SERIN_URL'] ?? DEFAULT_URL,
    text(flat, 'token') ?? env['SERIN_TOKEN'],
  );
  return { api, words: positionals, values: flat };
}

export function text(values: Values, name: string): string | undefined {
  const value = values[name];
  return typeof value === 'string' ? value : undefined;
}

export function number(what: string, value: string): number {
  if (/^[0-9]+(\.[0-9]+)?$/.test(value)) return Number(value);
  throw new UsageError(`${what} is a number, not "${value}"`);
}

/** Milliseconds that `--wait` waits at most. */
export function waitTimeout(values: Values): number {
  return parse(() => parseDuration(text(values, 'timeout') ?? '60s'));
}
