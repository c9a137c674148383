/**
 * Where API tokens come from: a hash in the configuration, a file, or an environment variable.
 *
 * Only hashes leave this file. No message holds a token or a part of one.
 */
import { createHash } from 'node:crypto';
import path from 'node:path';
import type { Fault } from '../schema/faults.ts';
import { fileTrouble } from '../schema/thrown.ts';
import type { Environment } from './environment.ts';
import type { ReadFile } from '../files/regular-file.ts';
import type { TokenDefinition } from './admin.ts';

/** Fewer characters than this can be guessed. */
const SHORTEST = 16;

/** The largest file of a token, in bytes; no head could carry a longer one. */
const MOST_BYTES = 64 * 1024;

export interface ResolvedTokens {
  /** Every token with `sha256`, and with neither `file` nor `env`. */
  readonly tokens: readonly TokenDefinition[];
  /** Pointers begin at the list. */
  readonly faults: readonly Fault[];
  /** The files that were asked for, as absolute paths. */
  readonly files: readonly string[];
}

/** Reads the tokens' files and variables. Relative paths start at the working directory. */
export async function resolveTokens(
  definitions: readonly TokenDefinition[],
  env: Environment,
  readFile: ReadFile,
): Promise<ResolvedTokens> {
  const tokens: TokenDefinition[] = [];
  const faults: Fault[] = [];
  const files: string[] = [];
  const seen = new Map<string, string>();
  for (const [index, { file, env: variable, sha256, ...rest }] of definitions.entries()) {
    let hash = sha256;
    let fault: string | null = null;
    if (file !== undefined) {
      const absolute = path.resolve(file);
      files.push(absolute);
      try {
        ({ hash, fault } = hashOf(
          new TextDecoder().decode(await readFile(absolute, MOST_BYTES)),
          `the file ${absolute}`,
        ));
      } catch (error) {
        fault = `cannot read the token from ${absolute}: ${fileTrouble(error)}`;
      }
    } else if (variable !== undefined) {
      const text = env[variable];
      if (text === undefined) fault = `the environment variable ${variable} is not set; set it to the token`;
      else ({ hash, fault } = hashOf(text, `the environment variable ${variable}`));
    }
    if (hash !== undefined && fault === null) {
      const owner = seen.get(hash);
      if (owner !== undefined)
        fault = `this is the token of "${owner}" as well; give each its own, so that the history can tell them apart`;
      seen.set(hash, owner ?? rest.name);
    }
    const at = file === undefined ? (variable === undefined ? 'sha256' : 'env') : 'file';
    if (fault !== null) faults.push({ pointer: `/${index}/${at}`, detail: fault });
    tokens.push({ ...rest, ...(hash === undefined ? {} : { sha256: hash }) });
  }
  return { tokens, faults, files };
}

function hashOf(text: string, source: string): { hash: string | undefined; fault: string | null } {
  const token = text.replace(/\r?\n$/, '');
  if (token.length < SHORTEST) {
    return {
      hash: undefined,
      fault: `${source} holds ${token.length} characters; expected a token of at least ${SHORTEST}`,
    };
  }
  if (!/^[\x21-\x7e]+$/.test(token)) {
    return {
      hash: undefined,
      fault: `${source} holds spaces, line breaks or other characters that a header cannot carry; expected one token`,
    };
  }
  return { hash: createHash('sha256').update(token).digest('hex'), fault: null };
}
