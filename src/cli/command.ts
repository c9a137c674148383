/** What a command of `serin` is, and how all of them print. */
import type { ParseArgsOptionsConfig } from 'node:util';
import { Document, visit } from 'yaml';
import { isVisible } from '../schema/visible-text.ts';
import type { Json } from './json.ts';
import { EXIT } from './failure.ts';
import type { Invocation, Surroundings, Values } from './options.ts';

export interface Command {
  /** Names of its words, in upper case as the help has them; all are needed. */
  readonly words: readonly string[];
  readonly options: ParseArgsOptionsConfig;
  /** Resolves to the exit code; rejects with CommandError or UsageError. */
  readonly run: (invocation: Invocation, surroundings: Surroundings) => Promise<number>;
}

/** A command that needs no API. */
export interface LocalCommand {
  readonly words: readonly string[];
  readonly options: ParseArgsOptionsConfig;
  /** Rejects with UsageError, CommandError, or DocumentError for a file that is not right. */
  readonly run: (args: readonly string[], surroundings: Surroundings) => Promise<number>;
}

export const string = { type: 'string' } as const;
export const flag = { type: 'boolean' } as const;
export const several = { type: 'string', multiple: true } as const;

export function servicePath(service: string): string {
  return `/v1/services/${encodeURIComponent(service)}`;
}

/** YAML in which what cannot be seen stands between double quotes, so that it is the same text when it is written out. */
export function yamlText(body: Json): string {
  const document = new Document(body);
  visit(document, {
    Scalar(_key, node) {
      if (typeof node.value === 'string' && !isVisible(node.value)) node.type = 'QUOTE_DOUBLE';
    },
  });
  return document.toString();
}

/** Prints the answer as JSON or YAML where that is asked for, else as `lines` has it. */
export function print({ out }: Surroundings, values: Values, body: Json, lines: () => string): number {
  if (values['json'] === true) out(`${JSON.stringify(body, null, 2)}\n`);
  else if (values['yaml'] === true) out(yamlText(body));
  else out(`${lines()}\n`);
  return EXIT.ok;
}
