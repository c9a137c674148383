/**
 * Loads the configuration: file, environment, checks, tokens.
 *
 * It promises that what it returns is right as a whole, or a DocumentError with every fault found, each with pointer
 * and line. It never changes anything, and no fault holds a secret.
 */
import { createHash } from 'node:crypto';
import path from 'node:path';
import { DocumentError, type Fault } from '../schema/faults.ts';
import { checkSchema } from '../schema/check.ts';
import { isRecord } from '../schema/json-value.ts';
import { fileTrouble } from '../schema/thrown.ts';
import { type ConfiguredNetworks, crossCheck } from './cross-checks.ts';
import { DEFAULT_SECRET_NAME, Configuration } from './schema.ts';
import { applyEnvironment, type Environment } from './environment.ts';
import { type TokenDefinition } from './admin.ts';
import { storeSettings, type StoreSettings } from './store.ts';
import type { ReadFile } from '../files/regular-file.ts';
import { resolveTokens } from './tokens.ts';
import { withoutUnavailable } from './unavailable.ts';
import { readYaml, type YamlDocument } from '../schema/yaml-document.ts';

export interface LoadOptions {
  /** The configuration file. Relative paths, also those inside it, start at the working directory. */
  readonly file: string;
  readonly env: Environment;
  readonly readFile: ReadFile;
}

export interface LoadedConfiguration {
  /**
   * The configuration with the environment applied, all paths absolute, `store` and `secretFile` always set, and every
   * token given by its `sha256`.
   */
  readonly configuration: Omit<Configuration, 'store' | 'secretFile'> & {
    readonly store: StoreSettings;
    readonly secretFile: string;
  };
  readonly networks: ConfiguredNetworks;
  /** What deserves a look; nothing is refused for it. */
  readonly warnings: readonly Fault[];
  /** Absolute paths of all files that it was read from, the configuration file first. */
  readonly files: readonly string[];
  /** SHA-256 of `configuration`: equal digests mean equal configurations, whatever their comments and layout. */
  readonly digest: string;
}

/** The largest configuration file, in bytes: 100,000 networks take two or three million. */
const MOST_BYTES = 32 * 1024 * 1024;

const check = checkSchema(Configuration);

/** Rejects with DocumentError `configuration_unreadable` or `configuration_invalid`. */
export async function loadConfiguration({ file, env, readFile }: LoadOptions): Promise<LoadedConfiguration> {
  const absolute = path.resolve(file);
  let bytes: Uint8Array;
  try {
    bytes = await readFile(absolute, MOST_BYTES);
  } catch (error) {
    const detail = `cannot read ${absolute}: ${fileTrouble(error)}; name the file with --config FILE`;
    throw new DocumentError('configuration_unreadable', 'The configuration cannot be read.', [
      { pointer: '', detail },
    ]);
  }
  const refuse = (faults: readonly Fault[]): DocumentError =>
    new DocumentError('configuration_invalid', `The configuration ${absolute} is not valid:`, faults);

  const document = readYaml(bytes);
  if (Array.isArray(document)) throw refuse(document);
  const overridden = applyEnvironment(document.value, env, tokenVariables(document.value));
  const placed = (faults: readonly Fault[]): Fault[] => place(faults, document, overridden.sources);

  const { rest, faults: unavailable } = withoutUnavailable('', overridden.value);
  const wrong = [...overridden.faults, ...placed([...unavailable, ...check(rest)])];
  if (wrong.length > 0) throw refuse(wrong);

  const configuration = overridden.value as Configuration;
  const { faults, warnings, networks } = crossCheck(configuration);
  const resolved = await resolveTokens(configuration.admin?.tokens ?? [], env, readFile);
  const tokenFaults = resolved.faults.map((fault) => ({
    ...fault,
    pointer: `/admin/tokens${fault.pointer}`,
  }));
  if (faults.length + tokenFaults.length > 0) throw refuse(placed([...faults, ...tokenFaults]));

  const complete = absolutePaths(withTokens(configuration, resolved.tokens));
  return {
    configuration: complete,
    networks,
    warnings: placed(warnings),
    files: [absolute, ...resolved.files],
    digest: createHash('sha256').update(JSON.stringify(complete)).digest('hex'),
  };
}

/** The variables that tokens are read from, out of a value that nothing has checked yet. */
function tokenVariables(value: unknown): string[] {
  const admin = isRecord(value) ? value['admin'] : undefined;
  const tokens: unknown = isRecord(admin) ? admin['tokens'] : undefined;
  if (!Array.isArray(tokens)) return [];
  return tokens.flatMap((token: unknown) =>
    isRecord(token) && typeof token['env'] === 'string' ? [token['env']] : [],
  );
}

/** Gives each fault its line, or the variable that its value came from, and puts them into the order of the file. */
function place(
  faults: readonly Fault[],
  document: YamlDocument,
  sources: ReadonlyMap<string, string>,
): Fault[] {
  return faults
    .map((fault): Fault => {
      const [, variable] =
        [...sources].find(([at]) => fault.pointer === at || fault.pointer.startsWith(`${at}/`)) ?? [];
      return variable === undefined
        ? { ...fault, line: document.line(fault.pointer) }
        : { ...fault, detail: `the environment variable ${variable}: ${fault.detail}` };
    })
    .sort((a, b) => (a.line ?? 0) - (b.line ?? 0));
}

function withTokens(configuration: Configuration, tokens: readonly TokenDefinition[]): Configuration {
  return configuration.admin?.tokens === undefined
    ? configuration
    : { ...configuration, admin: { ...configuration.admin, tokens: [...tokens] } };
}

function absolutePaths(configuration: Configuration): LoadedConfiguration['configuration'] {
  const { admin, region, kubernetes } = configuration;
  const store = storeSettings(configuration.store);
  return {
    ...configuration,
    store,
    secretFile:
      configuration.secretFile === undefined
        ? path.join('file' in store ? store.file : path.dirname(store.snapshot), DEFAULT_SECRET_NAME)
        : path.resolve(configuration.secretFile),
    ...(admin?.tlsDirectory === undefined
      ? {}
      : { admin: { ...admin, tlsDirectory: path.resolve(admin.tlsDirectory) } }),
    ...(region === undefined ? {} : { region: { database: path.resolve(region.database) } }),
    ...(kubernetes?.kubeconfig === undefined
      ? {}
      : { kubernetes: { ...kubernetes, kubeconfig: path.resolve(kubernetes.kubeconfig) } }),
  };
}
