/**
 * Environment variables that override single values of the configuration: `SERIN_PROXY_LISTEN` is `proxy.listen`.
 *
 * The table follows from the schema, so a new setting has its variable at once. What is inside named things (services,
 * segments) or lists of objects (tokens) has none: a name does not survive the way into upper case.
 */
import type { Fault } from '../schema/faults.ts';
import { isRecord } from '../schema/json-value.ts';
import { nearest } from '../schema/nearest.ts';
import { Configuration } from './schema.ts';

export type Environment = { readonly [name: string]: string | undefined };

const PREFIX = 'SERIN_';

/** Variables for tokens begin so; one whose token was just removed from the file must not keep it from loading. */
const TOKEN_PREFIX = 'SERIN_TOKEN_';

/** Variables that are read elsewhere: by the command line, and by the tests. */
const OTHERS = ['SERIN_CONFIG', 'SERIN_URL', 'SERIN_TOKEN', 'SERIN_CONFORMANCE'];

/**
 * What Kubernetes sets in every pod for each Service of the namespace; one called `serin` or `serin-admin` would
 * otherwise keep the proxy from starting.
 */
const KUBERNETES =
  /^SERIN(_[A-Z0-9_]+)?_(SERVICE_HOST|SERVICE_PORT(_[A-Z0-9_]+)?|PORT|PORT_[0-9]+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)$/;

/** A setting that a variable overrides. */
export interface Setting {
  readonly variable: string;
  readonly path: readonly string[];
  /** How its text is read. A list is split at commas. */
  readonly kind: 'text' | 'number' | 'boolean' | 'list';
}

export const SETTINGS: readonly Setting[] = settingsOf(Configuration, []);

export interface Overridden {
  readonly value: unknown;
  readonly faults: readonly Fault[];
  /** The variable that a pointer's value came from. */
  readonly sources: ReadonlyMap<string, string>;
}

/**
 * Puts the values of the environment into a configuration as it was read. Variables that begin with `SERIN_` and name
 * no setting are faults, but for those that others read: `tokenVariables`, the command line's, and Kubernetes's own.
 */
export function applyEnvironment(
  value: unknown,
  env: Environment,
  tokenVariables: readonly string[],
): Overridden {
  const faults: Fault[] = [];
  const sources = new Map<string, string>();
  const known = new Map(SETTINGS.map((setting) => [setting.variable, setting]));
  let result = value;
  for (const [variable, text] of Object.entries(env)) {
    if (!variable.startsWith(PREFIX) || text === undefined) continue;
    const setting = known.get(variable);
    if (setting !== undefined) {
      result = withValue(result, setting.path, readText(text, setting.kind));
      sources.set(`/${setting.path.join('/')}`, variable);
    } else if (!isReadElsewhere(variable) && !tokenVariables.includes(variable)) {
      faults.push({ pointer: '', detail: unknownVariable(variable) });
    }
  }
  return { value: result, faults, sources };
}

function isReadElsewhere(variable: string): boolean {
  return OTHERS.includes(variable) || variable.startsWith(TOKEN_PREFIX) || KUBERNETES.test(variable);
}

function unknownVariable(variable: string): string {
  const names = [...SETTINGS.map((setting) => setting.variable), ...OTHERS];
  const near = nearest(variable, names);
  const hint = near === undefined ? 'docs/configuration.md lists those there are' : `did you mean ${near}?`;
  return `the environment variable ${variable} overrides no setting; ${hint}`;
}

function readText(text: string, kind: Setting['kind']): unknown {
  if (kind === 'list')
    return text
      .split(',')
      .map((part) => part.trim())
      .filter((part) => part !== '');
  if (kind === 'boolean' && /^(true|false)$/.test(text)) return text === 'true';
  if (kind === 'number' && /^-?[0-9]+(\.[0-9]+)?$/.test(text)) return Number(text);
  // The schema says what would be right.
  return text;
}

/** A copy of `value` with one part replaced; what stands in the way and is no object is left for the schema to refuse. */
function withValue(value: unknown, path: readonly string[], part: unknown): unknown {
  const [key, ...further] = path;
  if (key === undefined) return part;
  if (value !== undefined && value !== null && !isRecord(value)) return value;
  return { ...value, [key]: withValue(value?.[key], further, part) };
}

function settingsOf(schema: unknown, path: readonly string[]): Setting[] {
  if (!isRecord(schema)) return [];
  if (isRecord(schema['properties'])) {
    return Object.entries(schema['properties']).flatMap(([name, inner]) =>
      name.startsWith('$') ? [] : settingsOf(inner, [...path, name]),
    );
  }
  const kind = kindOf(schema);
  return kind === null ? [] : [{ variable: variableOf(path), path, kind }];
}

function kindOf(schema: { readonly [keyword: string]: unknown }): Setting['kind'] | null {
  const type = schema['type'];
  if (type === 'string' || type === 'boolean') return type === 'string' ? 'text' : 'boolean';
  if (type === 'number' || type === 'integer') return 'number';
  if (type === 'array')
    return isRecord(schema['items']) && schema['items']['type'] === 'string' ? 'list' : null;
  const branches: unknown[] = Array.isArray(schema['anyOf']) ? schema['anyOf'] : [];
  if (branches.length === 0) return null;
  return branches.some((branch) => isRecord(branch) && branch['type'] === 'integer') ? 'number' : 'text';
}

function variableOf(path: readonly string[]): string {
  return PREFIX + path.map((part) => part.replace(/([a-z0-9])([A-Z])/g, '$1_$2').toUpperCase()).join('_');
}
